/* members.c: see members.h. What the lines come to is kept in memory, sorted by name; a file that has grown is read on from
 * where it was read to. A line is
 *
 *     DIGEST token SHA256 NAME ROLE EXPIRES     a token, by its digest; EXPIRES in seconds since 1970
 *     DIGEST enrolled NAME FINGERPRINT SHA256   a certificate was made for the token with that digest
 *     DIGEST renewed NAME FINGERPRINT BEFORE    one was made for who has the certificate BEFORE
 *     DIGEST current NAME FINGERPRINT           that certificate was shown: those before it are of no use
 *     DIGEST revoked NAME TIME
 *
 * with names in percent-encoding, for a certificate may be of "Clinic 7". Who changes something holds the lock of the file and
 * waits for the disk; who asks holds only that of the memory, and never waits for either. */
#include "members.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/crypto.h"
#include "core/file.h"
#include "core/grow.h"
#include "core/number.h"

#define LINE_MAX_SIZE 640
#define LINE_DIGEST 16           /* hexadecimal digits in front of a line */
#define WORDS_MAX 5              /* in a line, behind the digest */
#define FILE_MAX ((size_t)256 << 20)
#define TOKEN_BYTES 16

typedef enum token_state { TOKEN_OPEN, TOKEN_USED, TOKEN_WITHDRAWN } token_state;

typedef struct token {
    char digest[RD_SHA256_HEX], name[RD_MEMBER_NAME_MAX];
    rd_role role;
    double expires;
    token_state state;
} token;

typedef struct member {
    char name[RD_PEER_NAME_MAX];
    rd_role role;
    char newest[RD_SHA256_HEX], before[RD_SHA256_HEX]; /* fingerprints; "": none */
    bool only_newest;                                  /* the newest was shown */
    bool revoked;                                      /* and nothing was issued since */
} member;

struct rd_members {
    char path[4096];
    int fd;
    pthread_mutex_t change; /* one of this process changes the file; taken before the next one */
    pthread_mutex_t lock;   /* guards what follows */
    size_t read_to;
    token *tokens;
    size_t token_count, token_capacity;
    member *members; /* (member_count) sorted by name */
    size_t member_count, member_capacity;
    bool broken; /* a line could not be read: nobody is to be trusted */
};

static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
const char *const rd_role_names[] = {"client", "observer", "operator", NULL};

rd_status rd_role_parse(const char *text, rd_role *out, rd_error *err)
{
    for (int i = 0; rd_role_names[i] != NULL; i++)
        if (strcmp(rd_role_names[i], text) == 0) {
            *out = (rd_role)i;
            return RD_OK;
        }
    return rd_fail(err, RD_ERR_USAGE, "role: expected client, observer or operator, found '%.40s'", text);
}

rd_status rd_member_check_name(const char *name, rd_error *err)
{
    size_t length = strlen(name);
    if (length > 0 && length < RD_MEMBER_NAME_MAX && strspn(name, plain) == length)
        return RD_OK;
    return rd_fail(err, RD_ERR_USAGE,
                   "'%.80s': a member's name has 1 to 64 letters, digits, dots, dashes and underscores", name);
}

/* ---- what is in memory ---- */

/* Where the name is, or would be. */
static size_t place_of(const rd_members *m, const char *name, bool *found)
{
    size_t low = 0, high = m->member_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(m->members[middle].name, name);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *found = false;
    return low;
}

static member *find_member(const rd_members *m, const char *name)
{
    bool found;
    size_t at = place_of(m, name, &found);
    return found ? &m->members[at] : NULL;
}

/* The member of that name, new where there is none yet. NULL: no memory. */
static member *take_member(rd_members *m, const char *name, rd_error *err)
{
    bool found;
    size_t at = place_of(m, name, &found);
    if (found)
        return &m->members[at];
    if (rd_grow(&m->members, &m->member_capacity, m->member_count + 1, sizeof *m->members, "members", err) != RD_OK)
        return NULL;
    memmove(&m->members[at + 1], &m->members[at], (m->member_count - at) * sizeof *m->members);
    m->member_count++;
    m->members[at] = (member){.role = RD_ROLE_CLIENT};
    (void)snprintf(m->members[at].name, sizeof m->members[at].name, "%s", name);
    return &m->members[at];
}

static token *find_token(const rd_members *m, const char *digest)
{
    for (size_t i = 0; i < m->token_count; i++)
        if (strcmp(m->tokens[i].digest, digest) == 0)
            return &m->tokens[i];
    return NULL;
}

/* ---- a line ---- */

#define ENCODED_MAX (3 * RD_PEER_NAME_MAX)

static const char *encode(const char *name, char encoded[ENCODED_MAX])
{
    size_t at = 0;
    for (; *name != '\0' && at + 4 < ENCODED_MAX; name++)
        at += (size_t)snprintf(encoded + at, ENCODED_MAX - at, strchr(plain, *name) != NULL ? "%c" : "%%%02x",
                               (unsigned char)*name);
    encoded[at] = '\0';
    return encoded;
}

/* In place: what is read is never longer. False: it is none of ours. */
static bool decode(char *word)
{
    const char *const begin = word;
    char *to = word;
    unsigned byte;
    for (; *word != '\0'; word++) {
        if (*word == '%' && sscanf(word + 1, "%2x", &byte) == 1 && byte != 0 && strlen(word) > 2) {
            *to++ = (char)byte;
            word += 2;
        } else if (strchr(plain, *word) != NULL) {
            *to++ = *word;
        } else {
            return false;
        }
    }
    *to = '\0';
    return to > begin && (size_t)(to - begin) < RD_PEER_NAME_MAX;
}

static bool is_digest(const char *text)
{
    return strlen(text) == RD_SHA256_HEX - 1 && strspn(text, "0123456789abcdef") == RD_SHA256_HEX - 1;
}

static bool apply_token(rd_members *m, char *word[WORDS_MAX], rd_error *err)
{
    token t = {.state = TOKEN_OPEN};
    rd_error ignored;
    if (!is_digest(word[1]) || rd_member_check_name(word[2], &ignored) != RD_OK ||
        rd_role_parse(word[3], &t.role, &ignored) != RD_OK ||
        rd_number_read(word[4], strlen(word[4]), &t.expires) != RD_NUMBER_OK)
        return false;
    (void)snprintf(t.digest, sizeof t.digest, "%s", word[1]);
    (void)snprintf(t.name, sizeof t.name, "%s", word[2]);
    if (rd_grow(&m->tokens, &m->token_capacity, m->token_count + 1, sizeof *m->tokens, "tokens", err) != RD_OK)
        return false;
    m->tokens[m->token_count++] = t;
    return true;
}

static bool apply_issued(rd_members *m, char *word[WORDS_MAX], rd_error *err)
{
    member *who;
    if (!decode(word[1]) || !is_digest(word[2]) || !is_digest(word[3]) || (who = take_member(m, word[1], err)) == NULL)
        return false;
    const bool enrolled = strcmp(word[0], "enrolled") == 0;
    (void)snprintf(who->before, sizeof who->before, "%s", enrolled ? "" : word[3]);
    (void)snprintf(who->newest, sizeof who->newest, "%s", word[2]);
    who->only_newest = enrolled;
    who->revoked = false;
    token *used = enrolled ? find_token(m, word[3]) : NULL;
    if (used != NULL) {
        used->state = TOKEN_USED;
        who->role = used->role;
    }
    return true;
}

static bool apply_current(rd_members *m, char *word[WORDS_MAX])
{
    member *who = decode(word[1]) ? find_member(m, word[1]) : NULL;
    if (who != NULL && strcmp(who->newest, word[2]) == 0)
        who->only_newest = true;
    return who != NULL;
}

static bool apply_revoked(rd_members *m, char *word[WORDS_MAX], rd_error *err)
{
    member *who = decode(word[1]) ? take_member(m, word[1], err) : NULL;
    if (who == NULL)
        return false;
    who->newest[0] = who->before[0] = '\0';
    who->revoked = true;
    who->role = RD_ROLE_CLIENT;
    for (size_t i = 0; i < m->token_count; i++)
        if (m->tokens[i].state == TOKEN_OPEN && strcmp(m->tokens[i].name, word[1]) == 0)
            m->tokens[i].state = TOKEN_WITHDRAWN;
    return true;
}

static void digest_line(const char *text, char digest[LINE_DIGEST + 1])
{
    char hex[RD_SHA256_HEX];
    rd_sha256 d;
    rd_sha256_start(&d);
    rd_sha256_add(&d, text, strlen(text));
    rd_sha256_finish_hex(&d, hex);
    (void)snprintf(digest, LINE_DIGEST + 1, "%.*s", LINE_DIGEST, hex);
}

/* Takes a line, without its end, to what is in memory. False: it is none of ours. */
static bool apply(rd_members *m, char *line, rd_error *err)
{
    char digest[LINE_DIGEST + 1], *word[WORDS_MAX], *rest = NULL;
    size_t count = 0;
    if (strlen(line) <= LINE_DIGEST + 1 || line[LINE_DIGEST] != ' ')
        return false;
    digest_line(line + LINE_DIGEST + 1, digest);
    if (strncmp(digest, line, LINE_DIGEST) != 0)
        return false;
    for (char *w = strtok_r(line + LINE_DIGEST + 1, " ", &rest); w != NULL && count < WORDS_MAX;
         w = strtok_r(NULL, " ", &rest))
        word[count++] = w;
    if (count == 5 && strcmp(word[0], "token") == 0)
        return apply_token(m, word, err);
    if (count == 4 && (strcmp(word[0], "enrolled") == 0 || strcmp(word[0], "renewed") == 0))
        return apply_issued(m, word, err);
    if (count == 3 && strcmp(word[0], "current") == 0)
        return apply_current(m, word);
    if (count == 3 && strcmp(word[0], "revoked") == 0)
        return apply_revoked(m, word, err);
    return false;
}

/* ---- the file ---- */

static rd_status read_on(rd_members *m, size_t size, rd_error *err)
{
    rd_status status = RD_OK;
    size_t count = size - m->read_to;
    char *text = count < FILE_MAX ? malloc(count + 1) : NULL;
    if (text == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "%s: no memory for it", m->path);
    RD_TRY(rd_fd_pread_all(m->fd, text, count, (off_t)m->read_to, m->path, err));
    text[count] = '\0';
    char *end;
    for (char *line = text; (end = memchr(line, '\n', (size_t)(text + count - line))) != NULL; line = end + 1) {
        *end = '\0';
        (void)rd_fail(err, RD_ERR_FORMAT, "%s: the line at byte %zu is damaged; expected one that Rondo has written",
                      m->path, m->read_to);
        size_t length = (size_t)(end - line) + 1;
        if (strlen(line) + 1 != length || !apply(m, line, err)) {
            m->broken = true;
            status = err->status;
            goto cleanup;
        }
        m->read_to += length;
    }
cleanup:
    free(text);
    return status;
}

/* With the lock held: takes over what others have added. Costs a question for the size where there is nothing new. */
static rd_status refresh(rd_members *m, rd_error *err)
{
    struct stat info;
    if (m->broken)
        return rd_fail(err, RD_ERR_FORMAT, "%s: a line of it is damaged", m->path);
    if (fstat(m->fd, &info) != 0)
        return rd_fail(err, RD_ERR_IO, "%s: %s", m->path, strerror(errno));
    if ((size_t)info.st_size < m->read_to) {
        m->broken = true;
        return rd_fail(err, RD_ERR_FORMAT, "%s: it has become shorter; it is only ever added to", m->path);
    }
    return (size_t)info.st_size == m->read_to ? RD_OK : read_on(m, (size_t)info.st_size, err);
}

static rd_status refresh_locked(rd_members *m, size_t *read_to, rd_error *err)
{
    (void)pthread_mutex_lock(&m->lock);
    rd_status status = refresh(m, err);
    *read_to = m->read_to;
    (void)pthread_mutex_unlock(&m->lock);
    return status;
}

/* Within a change: a line of our own. durable: it is on the disk when this returns. Nobody else moves the end of the file. */
static rd_status append(rd_members *m, bool durable, rd_error *err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static rd_status append(rd_members *m, bool durable, rd_error *err, const char *format, ...)
{
    char rest[LINE_MAX_SIZE], digest[LINE_DIGEST + 1], line[LINE_MAX_SIZE + LINE_DIGEST + 3];
    va_list arguments;
    struct stat info;
    va_start(arguments, format);
    (void)vsnprintf(rest, sizeof rest, format, arguments);
    va_end(arguments);
    digest_line(rest, digest);
    int size = snprintf(line, sizeof line, "%s %s\n", digest, rest);
    if (fstat(m->fd, &info) != 0)
        return rd_fail(err, RD_ERR_IO, "%s: %s", m->path, strerror(errno));
    rd_status status = rd_fd_pwrite_all(m->fd, line, (size_t)size, info.st_size, m->path, err);
    if (status != RD_OK)
        (void)!ftruncate(m->fd, info.st_size); /* where that fails, the half line is dropped by the next change */
    else if (durable && fdatasync(m->fd) != 0)
        status = rd_fail(err, RD_ERR_IO, "%s: cannot reach the disk: %s", m->path, strerror(errno));
    size_t read_to;
    return status == RD_OK ? refresh_locked(m, &read_to, err) : status;
}

/* What was cut off by a loss of power goes. Ended by end_change, whatever came of it. */
static rd_status begin_change(rd_members *m, rd_error *err)
{
    struct stat info;
    size_t read_to;
    (void)pthread_mutex_lock(&m->change);
    if (flock(m->fd, LOCK_EX) != 0)
        return rd_fail(err, RD_ERR_IO, "%s: cannot be locked: %s", m->path, strerror(errno));
    rd_status status = refresh_locked(m, &read_to, err);
    if (status == RD_OK && fstat(m->fd, &info) == 0 && (size_t)info.st_size > read_to &&
        ftruncate(m->fd, (off_t)read_to) != 0)
        status = rd_fail(err, RD_ERR_IO, "%s: %s", m->path, strerror(errno));
    return status;
}

static void end_change(rd_members *m)
{
    (void)flock(m->fd, LOCK_UN);
    (void)pthread_mutex_unlock(&m->change);
}

/* A file that is new must have its name when the power fails. */
static rd_status sync_directory(const char *directory, rd_error *err)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rd_status status = fd >= 0 && (fsync(fd) == 0 || errno == EINVAL)
                           ? RD_OK
                           : rd_fail(err, RD_ERR_IO, "%s: cannot reach the disk: %s", directory, strerror(errno));
    if (fd >= 0)
        close(fd);
    return status;
}

rd_status rd_members_open(const char *state_directory, rd_members **out, rd_error *err)
{
    rd_status status = RD_OK;
    rd_members *m = calloc(1, sizeof *m);
    *out = NULL;
    if (m == NULL)
        return rd_fail(err, RD_ERR_MEMORY, "no memory for the members");
    (void)pthread_mutex_init(&m->change, NULL);
    (void)pthread_mutex_init(&m->lock, NULL);
    m->fd = -1;
    if (snprintf(m->path, sizeof m->path, "%s/members", state_directory) >= (int)sizeof m->path)
        RD_THROW(RD_ERR_IO, "%.60s...: the name is too long", state_directory);
    m->fd = open(m->path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (m->fd < 0)
        RD_THROW(RD_ERR_IO, "%s: %s", m->path, strerror(errno));
    RD_TRY(sync_directory(state_directory, err));
    RD_TRY(refresh(m, err));
    *out = m;
    m = NULL;
cleanup:
    rd_members_free(m);
    return status;
}

void rd_members_free(rd_members *m)
{
    if (m == NULL)
        return;
    if (m->fd >= 0)
        close(m->fd);
    (void)pthread_mutex_destroy(&m->lock);
    (void)pthread_mutex_destroy(&m->change);
    free(m->tokens);
    free(m->members);
    free(m);
}

/* ---- tokens ---- */

static void digest_token(const char *text, char digest[RD_SHA256_HEX])
{
    rd_sha256 d;
    rd_sha256_start(&d);
    rd_sha256_add(&d, text, strlen(text));
    rd_sha256_finish_hex(&d, digest);
}

rd_status rd_members_add_token(rd_members *m, const char *name, rd_role role, double seconds,
                               char text[RD_MEMBER_TOKEN_MAX], rd_error *err)
{
    char secret[2 * TOKEN_BYTES + 1], digest[RD_SHA256_HEX];
    rd_status status = rd_member_check_name(name, err);
    if (status == RD_OK)
        status = rd_random_hex(TOKEN_BYTES, secret, err);
    if (status != RD_OK)
        return status;
    (void)snprintf(text, RD_MEMBER_TOKEN_MAX, "%s:%s", name, secret);
    digest_token(text, digest);
    status = begin_change(m, err);
    if (status == RD_OK)
        status = append(m, true, err, "token %s %s %s %.0f", digest, name, rd_role_names[role], rd_clock_unix() + seconds);
    end_change(m);
    return status;
}

/* With the lock held. A token is looked up by its digest, so how long that takes says nothing of tokens that there are. */
static rd_status judge_token(const rd_members *m, const char *text, token *out, rd_error *err)
{
    char digest[RD_SHA256_HEX];
    digest_token(text, digest);
    const token *t = find_token(m, digest);
    if (t != NULL)
        *out = *t;
    if (t == NULL)
        return rd_fail(err, RD_ERR_REFUSED, "this token is none that was given out here");
    if (t->state == TOKEN_USED)
        return rd_fail(err, RD_ERR_REFUSED, "this token was used before: it is good once; ask for another");
    if (t->state == TOKEN_WITHDRAWN)
        return rd_fail(err, RD_ERR_REFUSED, "this token was withdrawn when '%s' was revoked", t->name);
    if (t->expires < rd_clock_unix())
        return rd_fail(err, RD_ERR_REFUSED, "this token has expired; ask for another");
    return RD_OK;
}

static rd_status judge_token_locked(rd_members *m, const char *text, token *out, rd_error *err)
{
    (void)pthread_mutex_lock(&m->lock);
    rd_status status = refresh(m, err);
    if (status == RD_OK)
        status = judge_token(m, text, out, err);
    (void)pthread_mutex_unlock(&m->lock);
    return status;
}

rd_status rd_members_check_token(rd_members *m, const char *text, rd_error *err)
{
    token t;
    return judge_token_locked(m, text, &t, err);
}

rd_status rd_members_enrol(rd_members *m, const char *text, const char *fingerprint, rd_error *err)
{
    token t;
    rd_status status = begin_change(m, err);
    if (status == RD_OK)
        status = judge_token_locked(m, text, &t, err);
    if (status == RD_OK)
        status = append(m, true, err, "enrolled %s %s %s", t.name, fingerprint, t.digest);
    end_change(m);
    return status;
}

/* ---- certificates ---- */

/* With the lock held. */
static const char *refuse(const rd_members *m, const rd_peer *peer)
{
    const member *who = find_member(m, peer->name);
    if (who == NULL)
        return NULL;
    if (who->revoked)
        return "this client was revoked";
    if (who->newest[0] == '\0' || strcmp(who->newest, peer->fingerprint) == 0)
        return NULL;
    if (!who->only_newest && strcmp(who->before, peer->fingerprint) == 0)
        return NULL;
    return "this client has another certificate by now, and the older one is of no use";
}

rd_status rd_members_renew(rd_members *m, const rd_peer *peer, const char *fingerprint, rd_error *err)
{
    char name[ENCODED_MAX];
    rd_status status = begin_change(m, err);
    const char *why = status == RD_OK ? rd_members_refuse(m, peer) : NULL;
    if (why != NULL)
        status = rd_fail(err, RD_ERR_REFUSED, "%s", why);
    if (status == RD_OK)
        status = append(m, true, err, "renewed %s %s %s", encode(peer->name, name), fingerprint, peer->fingerprint);
    end_change(m);
    return status;
}

rd_status rd_members_revoke(rd_members *m, const char *name, rd_error *err)
{
    char encoded[ENCODED_MAX];
    const size_t length = strlen(name);
    if (length == 0 || length >= RD_PEER_NAME_MAX)
        return rd_fail(err, RD_ERR_USAGE, "'%.80s': expected the name of a client, of 1 to 127 bytes", name);
    rd_status status = begin_change(m, err);
    if (status == RD_OK)
        status = append(m, true, err, "revoked %s %.0f", encode(name, encoded), rd_clock_unix());
    end_change(m);
    return status;
}

const char *rd_members_refuse(rd_members *m, const rd_peer *peer)
{
    rd_error ignored;
    (void)pthread_mutex_lock(&m->lock);
    const char *why = refresh(m, &ignored) == RD_OK ? refuse(m, peer)
                                                    : "the aggregator cannot read who its members are; tell its operator";
    (void)pthread_mutex_unlock(&m->lock);
    return why;
}

void rd_members_note_use(rd_members *m, const rd_peer *peer)
{
    char name[ENCODED_MAX];
    rd_error ignored;
    (void)pthread_mutex_lock(&m->lock);
    const member *who = find_member(m, peer->name);
    const bool news =
        who != NULL && who->newest[0] != '\0' && !who->only_newest && strcmp(who->newest, peer->fingerprint) == 0;
    (void)pthread_mutex_unlock(&m->lock);
    if (!news)
        return;
    /* Where it cannot be written, the next request tries again; and a loss of power only means that it is noted once more. */
    if (begin_change(m, &ignored) == RD_OK)
        (void)!append(m, false, &ignored, "current %s %s", encode(peer->name, name), peer->fingerprint);
    end_change(m);
}

rd_role rd_members_role(rd_members *m, const char *name)
{
    (void)pthread_mutex_lock(&m->lock);
    const member *who = find_member(m, name);
    const rd_role role = who != NULL ? who->role : RD_ROLE_CLIENT;
    (void)pthread_mutex_unlock(&m->lock);
    return role;
}
