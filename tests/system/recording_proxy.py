"""recording_proxy.py PORT AGGREGATOR_PORT CERTS CLIENT RECORD: a man in the middle who has everybody's keys.

Ends the client's TLS with the aggregator's certificate, opens TLS to the aggregator with the client's, passes bytes
both ways, and appends all that the client sends to RECORD.
"""
import os
import socket
import ssl
import sys
import threading

port, upstream, certs, client, record = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
ca = os.path.join(certs, "ca.crt")
server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca)
server_side.load_cert_chain(os.path.join(certs, "aggregator.crt"), os.path.join(certs, "aggregator.key"))
server_side.verify_mode = ssl.CERT_REQUIRED
client_side = ssl.create_default_context(cafile=ca)
client_side.load_cert_chain(os.path.join(certs, client + ".crt"), os.path.join(certs, client + ".key"))


def pump(source, target, log):
    try:
        while data := source.recv(65536):
            if log:
                log.write(data)
                log.flush()
            target.sendall(data)
    except OSError:
        pass
    for s in (source, target):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


with socket.create_server(("127.0.0.1", port)) as listener, open(record, "ab") as log:
    print("ready", flush=True)
    while True:
        near = server_side.wrap_socket(listener.accept()[0], server_side=True)
        far = client_side.wrap_socket(socket.create_connection(("127.0.0.1", upstream)), server_hostname="127.0.0.1")
        threading.Thread(target=pump, args=(near, far, log), daemon=True).start()
        threading.Thread(target=pump, args=(far, near, None), daemon=True).start()
