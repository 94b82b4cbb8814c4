// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The only program of the virtual machine that tests run on the lab's hosts. What it does is said by LAB_MODE
 * on the kernel's command line. It speaks UDP, a text a datagram, with the client outside (braidlab/lan.py).
 *
 * database  A SQLite database with full sync on an ext4 on the first disk. A transaction is answered only
 *           after its commit.
 *               put N TEXT   ->  put N ok BOOT, or: put N failed BOOT WHY
 *               list N       ->  listed N:TEXT N:TEXT ..., from N on, as many as fit
 *               check        ->  checked BOOT WORD COUNT MAX, WORD being what PRAGMA integrity_check says
 * order     No file system. Writers, a block each: a number to the first disk, once that has completed
 *           to the second, then it is reported (wrote WRITER NUMBER BOOT); and so on with the next.
 *
 * In both a process that touches no disk says every 100 ms that the machine runs: beat BOOT COUNT. BOOT is
 * drawn when the machine starts, so a machine that moved keeps it and one that was started anew has another.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define PORT 7000
#define WRITERS 4
#define BLOCK 4096

static char boot[17];
static int sock;

static void die(const char *what)
{
	/* The console is all there may be; the machine ends, as one that crashed. */
	dprintf(2, "guest: %s: %s\n", what, strerror(errno));
	reboot(RB_POWER_OFF);
	_exit(1);
}

__attribute__((format(printf, 1, 2))) static void report(const char *format, ...)
{
	char text[256];
	va_list list;

	va_start(list, format);
	int length = vsnprintf(text, sizeof(text), format, list);

	va_end(list);
	/* A datagram that is lost is asked for again, or was only news. */
	send(sock, text, length < (int)sizeof(text) ? length : (int)sizeof(text) - 1, 0);
}

static void open_socket(void)
{
	struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	struct sockaddr_in client = here;
	const char *address = getenv("LAB_CLIENT");

	if (!address || inet_pton(AF_INET, address, &client.sin_addr) != 1) {
		errno = EINVAL;
		die("LAB_CLIENT");
	}
	sock = socket(AF_INET, SOCK_DGRAM, 0);
	if (sock < 0 || bind(sock, (struct sockaddr *)&here, sizeof(here)) ||
	    connect(sock, (struct sockaddr *)&client, sizeof(client)))
		die("socket");
}

static void beat(void)
{
	for (unsigned long count = 1;; count++) {
		report("beat %s %lu", boot, count);
		usleep(100000);
	}
}

/* ---- database ---- */

static sqlite3 *db;

static void must(int rc, const char *what)
{
	if (rc == SQLITE_OK || rc == SQLITE_DONE || rc == SQLITE_ROW)
		return;
	dprintf(2, "guest: %s: %s\n", what, sqlite3_errmsg(db));
	errno = EIO;
	die("sqlite");
}

static void open_database(void)
{
	mkdir("/db", 0755);
	if (mount("/dev/vda", "/db", "ext4", 0, "errors=panic"))
		die("mount of the first disk");
	must(sqlite3_open("/db/lab.db", &db), "open");
	must(sqlite3_exec(db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
			      "CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, text TEXT, boot TEXT)",
			  NULL, NULL, NULL), "preparing");
}

/* The one result of a statement, or NULL with an error; the caller finalizes. */
static sqlite3_stmt *query(const char *sql, long long n, const char *text)
{
	sqlite3_stmt *statement = NULL;

	if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
		return NULL;
	sqlite3_bind_int64(statement, 1, n);
	if (text) {
		sqlite3_bind_text(statement, 2, text, -1, SQLITE_TRANSIENT);
		sqlite3_bind_text(statement, 3, boot, -1, SQLITE_STATIC);
	}
	return statement;
}

/* Asked again it is done already: it must be what was asked. */
static void put(long long n, const char *text)
{
	sqlite3_stmt *statement = query("SELECT text FROM t WHERE n = ?1", n, NULL);
	int known = statement && sqlite3_step(statement) == SQLITE_ROW;
	int same = known && !strcmp((const char *)sqlite3_column_text(statement, 0), text);

	sqlite3_finalize(statement);
	if (!known) {
		statement = query("INSERT INTO t VALUES (?1, ?2, ?3)", n, text);
		same = statement && sqlite3_step(statement) == SQLITE_DONE;
		same = sqlite3_finalize(statement) == SQLITE_OK && same;
	}
	if (same)
		report("put %lld ok %s", n, boot);
	else
		report("put %lld failed %s %s", n, boot, known ? "another text is there" : sqlite3_errmsg(db));
}

static void list(long long from)
{
	char text[1200] = "listed";
	size_t length = strlen(text);
	sqlite3_stmt *statement = query("SELECT n, text FROM t WHERE n >= ?1 ORDER BY n", from, NULL);

	while (statement && sqlite3_step(statement) == SQLITE_ROW) {
		int added = snprintf(text + length, sizeof(text) - length, " %lld:%s", sqlite3_column_int64(statement, 0),
				     sqlite3_column_text(statement, 1));
		if (added >= (int)(sizeof(text) - length))
			break;
		length += added;
	}
	sqlite3_finalize(statement);
	send(sock, text, length, 0);
}

static void check(void)
{
	sqlite3_stmt *statement = query("PRAGMA integrity_check", 0, NULL);
	char word[64] = "unreadable";

	if (statement && sqlite3_step(statement) == SQLITE_ROW)
		snprintf(word, sizeof(word), "%s", sqlite3_column_text(statement, 0));
	sqlite3_finalize(statement);
	for (char *c = word; *c; c++)
		if (*c == ' ')
			*c = '_';
	statement = query("SELECT count(*), max(n) FROM t", 0, NULL);
	if (statement && sqlite3_step(statement) == SQLITE_ROW)
		report("checked %s %s %lld %lld", boot, word, sqlite3_column_int64(statement, 0),
		       sqlite3_column_int64(statement, 1));
	sqlite3_finalize(statement);
}

static void answer(char *request)
{
	char text[128];
	long long n;

	if (sscanf(request, "put %lld %127s", &n, text) == 2)
		put(n, text);
	else if (sscanf(request, "list %lld", &n) == 1)
		list(n);
	else if (!strcmp(request, "check"))
		check();
}

static void close_database(void)
{
	sqlite3_close(db);
	umount("/db");
}

/* ---- order ---- */

struct block {
	unsigned long long number;
	char boot[17];
};

static void write_in_order(int writer)
{
	int disks[2] = {open("/dev/vda", O_RDWR | O_DIRECT), open("/dev/vdb", O_RDWR | O_DIRECT)};
	struct block *block = aligned_alloc(BLOCK, BLOCK);
	off_t at = (off_t)writer * BLOCK;

	if (disks[0] < 0 || disks[1] < 0 || !block || pread(disks[0], block, BLOCK, at) != BLOCK)
		die("disks");
	for (;;) {
		block->number++;
		memcpy(block->boot, boot, sizeof(boot));
		for (int disk = 0; disk < 2; disk++)
			if (pwrite(disks[disk], block, BLOCK, at) != BLOCK)
				die("write");
		report("wrote %d %llu %s", writer, block->number, boot);
	}
}

/* ---- all ---- */

/* What libvirt's shutdown presses. */
static int is_pressed(int button)
{
	struct input_event event;

	while (read(button, &event, sizeof(event)) == sizeof(event))
		if (event.type == EV_KEY && event.code == KEY_POWER && event.value)
			return 1;
	return 0;
}

static int open_button(void)
{
	return open("/dev/input/event0", O_RDONLY | O_NONBLOCK);
}

static void prepare(void)
{
	unsigned long long number;
	int console;

	mkdir("/dev", 0755);
	mkdir("/proc", 0755);
	if (mount("dev", "/dev", "devtmpfs", 0, "") || mount("proc", "/proc", "proc", 0, ""))
		die("mount");
	console = open("/dev/console", O_RDWR);
	for (int fd = 0; fd < 3; fd++)
		dup2(console, fd);
	if (getrandom(&number, sizeof(number), GRND_INSECURE) != sizeof(number))
		die("getrandom");
	snprintf(boot, sizeof(boot), "%016llx", number);
	signal(SIGCHLD, SIG_IGN);
}

static pid_t start(void)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	return pid;
}

int main(void)
{
	const char *mode;
	int orderly;
	char request[256];

	prepare();
	open_socket();
	mode = getenv("LAB_MODE");
	orderly = mode && !strcmp(mode, "order");
	if (!start())
		beat();
	for (int writer = 0; orderly && writer < WRITERS; writer++)
		if (!start())
			write_in_order(writer);
	if (!orderly)
		open_database();
	dprintf(1, "guest: ready, boot %s\n", boot);

	struct pollfd polled[2] = {{.fd = sock, .events = POLLIN}, {.fd = open_button(), .events = POLLIN}};

	for (;;) {
		/* An error of the socket is a datagram that did not arrive: read, and forgotten. */
		poll(polled, 2, -1);
		ssize_t length = recv(sock, request, sizeof(request) - 1, MSG_DONTWAIT);

		if (length > 0) {
			request[length] = 0;
			if (!orderly)
				answer(request);
		}
		if (polled[1].revents & POLLIN && is_pressed(polled[1].fd)) {
			if (!orderly)
				close_database();
			sync();
			reboot(RB_POWER_OFF);
		}
	}
}
