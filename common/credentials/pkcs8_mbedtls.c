/* pkcs8_mbedtls.c: private keys, behind a pass phrase or not. What `openssl pkcs8 -topk8` and `openssl genpkey -aes256` write is
 * PBES2 with AES-CBC (RFC 8018), which mbedTLS 2.28 cannot read, although it has all the pieces; 3.6 can. */
#include <mbedtls/cipher.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/md.h>
#include <mbedtls/oid.h>
#include <mbedtls/pem.h>
#include <mbedtls/pkcs5.h>
#include <mbedtls/version.h>
#include <stdlib.h>
#include <string.h>

#include "credentials/mbedtls.h"

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
static int with_random(int (*use)(mbedtls_ctr_drbg_context *random, void *user), void *user)
{
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    mbedtls_entropy_init(&entropy);
    mbedtls_ctr_drbg_init(&random);
    int code = mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, NULL, 0);
    if (code == 0)
        code = use(&random, user);
    mbedtls_ctr_drbg_free(&random);
    mbedtls_entropy_free(&entropy);
    return code;
}

typedef struct parsing {
    mbedtls_pk_context *key;
    const char *pem, *passphrase;
    size_t size;
} parsing;

static int parse(mbedtls_ctr_drbg_context *random, void *user)
{
    const parsing *p = user;
    size_t length = strlen(p->passphrase);
    return mbedtls_pk_parse_key(p->key, (const unsigned char *)p->pem, p->size,
                                length > 0 ? (const unsigned char *)p->passphrase : NULL, length,
                                mbedtls_ctr_drbg_random, random);
}

int rd_private_key_parse(mbedtls_pk_context *key, const char *pem, size_t size, const char *passphrase)
{
    parsing p = {key, pem, passphrase, size};
    return with_random(parse, &p);
}

typedef struct pair {
    const mbedtls_pk_context *public_key, *private_key;
} pair;

static int check(mbedtls_ctr_drbg_context *random, void *user)
{
    const pair *p = user;
    return mbedtls_pk_check_pair(p->public_key, p->private_key, mbedtls_ctr_drbg_random, random);
}

int rd_private_key_check(const mbedtls_x509_crt *certificate, const mbedtls_pk_context *key)
{
    pair p = {&certificate->pk, key};
    return with_random(check, &p);
}
#else

#define UNREADABLE MBEDTLS_ERR_PK_KEY_INVALID_FORMAT

/* A cursor on DER. */
typedef struct der {
    unsigned char *at;
    const unsigned char *end;
} der;

/* Goes into, or reads, the next value of this kind. */
static bool take(der *d, int tag, der *inside)
{
    size_t length;
    if (mbedtls_asn1_get_tag(&d->at, d->end, &length, tag) != 0)
        return false;
    *inside = (der){d->at, d->at + length};
    d->at += length;
    return true;
}

static bool is_oid(const der *d, const char *oid, size_t length)
{
    return (size_t)(d->end - d->at) == length && memcmp(d->at, oid, length) == 0;
}

#define IS(d, oid) is_oid(d, oid, sizeof(oid) - 1)
#define SEQUENCE (MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE)

static mbedtls_md_type_t hash_of(const der *oid)
{
    return IS(oid, MBEDTLS_OID_HMAC_SHA1)     ? MBEDTLS_MD_SHA1
           : IS(oid, MBEDTLS_OID_HMAC_SHA224) ? MBEDTLS_MD_SHA224
           : IS(oid, MBEDTLS_OID_HMAC_SHA256) ? MBEDTLS_MD_SHA256
           : IS(oid, MBEDTLS_OID_HMAC_SHA384) ? MBEDTLS_MD_SHA384
           : IS(oid, MBEDTLS_OID_HMAC_SHA512) ? MBEDTLS_MD_SHA512
                                              : MBEDTLS_MD_NONE;
}

#define AES_CBC_128 "\x60\x86\x48\x01\x65\x03\x04\x01\x02"
#define AES_CBC_192 "\x60\x86\x48\x01\x65\x03\x04\x01\x16"
#define AES_CBC_256 "\x60\x86\x48\x01\x65\x03\x04\x01\x2a"

static mbedtls_cipher_type_t cipher_of(const der *oid)
{
    return IS(oid, AES_CBC_128)   ? MBEDTLS_CIPHER_AES_128_CBC
           : IS(oid, AES_CBC_192) ? MBEDTLS_CIPHER_AES_192_CBC
           : IS(oid, AES_CBC_256) ? MBEDTLS_CIPHER_AES_256_CBC
                                  : MBEDTLS_CIPHER_NONE;
}

typedef struct recipe {
    der salt, iv, data;
    int iterations;
    mbedtls_md_type_t hash;
    mbedtls_cipher_type_t cipher;
} recipe;

/* EncryptedPrivateKeyInfo with PBES2, PBKDF2 and AES-CBC. */
static bool read_recipe(der all, recipe *r)
{
    der info, algorithm, oid, parameters, kdf, kdf_oid, kdf_parameters, prf, scheme, length;
    bool ok = take(&all, SEQUENCE, &info) && take(&info, SEQUENCE, &algorithm) &&
              take(&info, MBEDTLS_ASN1_OCTET_STRING, &r->data) && take(&algorithm, MBEDTLS_ASN1_OID, &oid) &&
              IS(&oid, MBEDTLS_OID_PKCS5_PBES2) && take(&algorithm, SEQUENCE, &parameters) &&
              take(&parameters, SEQUENCE, &kdf) && take(&parameters, SEQUENCE, &scheme) &&
              take(&kdf, MBEDTLS_ASN1_OID, &kdf_oid) && IS(&kdf_oid, MBEDTLS_OID_PKCS5_PBKDF2) &&
              take(&kdf, SEQUENCE, &kdf_parameters) && take(&kdf_parameters, MBEDTLS_ASN1_OCTET_STRING, &r->salt) &&
              mbedtls_asn1_get_int(&kdf_parameters.at, kdf_parameters.end, &r->iterations) == 0;
    if (!ok)
        return false;
    (void)take(&kdf_parameters, MBEDTLS_ASN1_INTEGER, &length); /* of the key: the cipher says it, too */
    r->hash = MBEDTLS_MD_SHA1;
    if (take(&kdf_parameters, SEQUENCE, &prf))
        r->hash = take(&prf, MBEDTLS_ASN1_OID, &oid) ? hash_of(&oid) : MBEDTLS_MD_NONE;
    if (!take(&scheme, MBEDTLS_ASN1_OID, &oid) || !take(&scheme, MBEDTLS_ASN1_OCTET_STRING, &r->iv))
        return false;
    r->cipher = cipher_of(&oid);
    return r->hash != MBEDTLS_MD_NONE && r->cipher != MBEDTLS_CIPHER_NONE && r->iv.end - r->iv.at == 16 &&
           r->iterations > 0;
}

static int decrypt(const recipe *r, const char *passphrase, unsigned char *plain, size_t *count)
{
    unsigned char derived[32];
    mbedtls_md_context_t md;
    mbedtls_cipher_context_t cipher;
    const mbedtls_cipher_info_t *info = mbedtls_cipher_info_from_type(r->cipher);
    mbedtls_md_init(&md);
    mbedtls_cipher_init(&cipher);
    int code = info == NULL ? UNREADABLE : mbedtls_md_setup(&md, mbedtls_md_info_from_type(r->hash), 1);
    if (code == 0)
        code = mbedtls_pkcs5_pbkdf2_hmac(&md, (const unsigned char *)passphrase, strlen(passphrase), r->salt.at,
                                         (size_t)(r->salt.end - r->salt.at), (unsigned)r->iterations,
                                         info->key_bitlen / 8, derived);
    if (code == 0)
        code = mbedtls_cipher_setup(&cipher, info);
    if (code == 0)
        code = mbedtls_cipher_setkey(&cipher, derived, (int)info->key_bitlen, MBEDTLS_DECRYPT);
    if (code == 0)
        code =
            mbedtls_cipher_crypt(&cipher, r->iv.at, 16, r->data.at, (size_t)(r->data.end - r->data.at), plain, count);
    explicit_bzero(derived, sizeof derived);
    mbedtls_cipher_free(&cipher);
    mbedtls_md_free(&md);
    return code;
}

static int parse_pbes2(mbedtls_pk_context *key, const char *text, const char *passphrase)
{
    size_t used, count = 0;
    recipe r;
    mbedtls_pem_context pem;
    mbedtls_pem_init(&pem);
    int code =
        mbedtls_pem_read_buffer(&pem, "-----BEGIN ENCRYPTED PRIVATE KEY-----", "-----END ENCRYPTED PRIVATE KEY-----",
                                (const unsigned char *)text, NULL, 0, &used);
    unsigned char *plain = code == 0 ? malloc(pem.buflen + 32) : NULL;
    if (code == 0 && (plain == NULL || !read_recipe((der){pem.buf, pem.buf + pem.buflen}, &r)))
        code = UNREADABLE;
    if (code == 0 &&
        (decrypt(&r, passphrase, plain, &count) != 0 || mbedtls_pk_parse_key(key, plain, count, NULL, 0) != 0))
        code = MBEDTLS_ERR_PK_PASSWORD_MISMATCH;
    if (plain != NULL)
        explicit_bzero(plain, pem.buflen + 32);
    free(plain);
    mbedtls_pem_free(&pem);
    return code;
}

int rd_private_key_parse(mbedtls_pk_context *key, const char *pem, size_t size, const char *passphrase)
{
    size_t length = strlen(passphrase);
    int code = mbedtls_pk_parse_key(key, (const unsigned char *)pem, size,
                                    length > 0 ? (const unsigned char *)passphrase : NULL, length);
    return code == MBEDTLS_ERR_PKCS5_FEATURE_UNAVAILABLE && length > 0 ? parse_pbes2(key, pem, passphrase) : code;
}

int rd_private_key_check(const mbedtls_x509_crt *certificate, const mbedtls_pk_context *key)
{
    return mbedtls_pk_check_pair(&certificate->pk, key);
}
#endif
