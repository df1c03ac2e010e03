/* SPDX-License-Identifier: Apache-2.0 */
/* Otherwise the header makes mmap another name for mmap64, and both are defined here. */
#undef _FILE_OFFSET_BITS

#include "perf_malloc.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Exported, so that shared libraries find these before libc's and DPDK's. */
#define EXPORT __attribute__((visibility("default")))

/* initial-exec: reading it allocates nothing, which a malloc cannot afford. */
static __thread struct perf_malloc mine __attribute__((tls_model("initial-exec")));

struct perf_malloc perf_malloc_mine(void)
{
    return mine;
}

uint64_t perf_malloc_since(const struct perf_malloc *before)
{
    uint64_t sum = 0;

    for (int i = 0; i < PERF_MALLOC_KINDS; i++) {
        if (i != PERF_MALLOC_FREE)
            sum += mine.calls[i] - before->calls[i];
    }
    return sum;
}

const char *perf_malloc_name(enum perf_malloc_kind kind)
{
    static const char *const names[PERF_MALLOC_KINDS] = {"heap", "free", "arena", "dpdk",
                                                         "pages"};

    return kind < PERF_MALLOC_KINDS ? names[kind] : "?";
}

/* ---- malloc: glibc names its own a second time, for interposers ---- */

void *__libc_malloc(size_t len);
void *__libc_calloc(size_t n, size_t len);
void *__libc_realloc(void *ptr, size_t len);
void *__libc_memalign(size_t align, size_t len);
void __libc_free(void *ptr);

EXPORT void *malloc(size_t len)
{
    mine.calls[PERF_MALLOC_HEAP]++;
    return __libc_malloc(len);
}

EXPORT void *calloc(size_t n, size_t len)
{
    mine.calls[PERF_MALLOC_HEAP]++;
    return __libc_calloc(n, len);
}

EXPORT void *realloc(void *ptr, size_t len)
{
    mine.calls[PERF_MALLOC_HEAP]++;
    return __libc_realloc(ptr, len);
}

EXPORT void *memalign(size_t align, size_t len)
{
    mine.calls[PERF_MALLOC_HEAP]++;
    return __libc_memalign(align, len);
}

EXPORT void *aligned_alloc(size_t align, size_t len)
{
    mine.calls[PERF_MALLOC_HEAP]++;
    return __libc_memalign(align, len);
}

EXPORT int posix_memalign(void **ret, size_t align, size_t len)
{
    void *ptr;

    if (align % sizeof(void *) != 0 || (align & (align - 1)) != 0 || align == 0)
        return EINVAL;
    mine.calls[PERF_MALLOC_HEAP]++;
    ptr = __libc_memalign(align, len);
    if (ptr == NULL)
        return ENOMEM;
    *ret = ptr;
    return 0;
}

EXPORT void free(void *ptr)
{
    mine.calls[PERF_MALLOC_FREE] += ptr != NULL;
    __libc_free(ptr);
}

/* ---- Pages: straight to the kernel ---- */

EXPORT void *mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
    mine.calls[PERF_MALLOC_PAGES]++;
    /* NOLINTNEXTLINE: the kernel returns an address, syscall() a long. */
    return (void *)syscall(SYS_mmap, at, len, prot, flags, fd, offset);
}

EXPORT void *mmap64(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
    return mmap(at, len, prot, flags, fd, offset);
}

/* ---- DPDK's heap: its own definitions come next in the search order ---- */

static struct {
    void *(*malloc)(const char *type, size_t len, unsigned align);
    void *(*zmalloc)(const char *type, size_t len, unsigned align);
    void *(*calloc)(const char *type, size_t n, size_t len, unsigned align);
    void *(*malloc_socket)(const char *type, size_t len, unsigned align, int socket);
    void *(*zmalloc_socket)(const char *type, size_t len, unsigned align, int socket);
    void *(*realloc)(void *ptr, size_t len, unsigned align);
} dpdk;

/* Before main, and so before EAL starts.  POSIX lets dlsym's result be called, ISO C does not:
   hence the detour by the pointer's own address. */
static void find_next(void *ret_function, const char *name)
{
    *(void **)ret_function = dlsym(RTLD_NEXT, name);
}

__attribute__((constructor)) static void find_dpdk(void)
{
    find_next(&dpdk.malloc, "rte_malloc");
    find_next(&dpdk.zmalloc, "rte_zmalloc");
    find_next(&dpdk.calloc, "rte_calloc");
    find_next(&dpdk.malloc_socket, "rte_malloc_socket");
    find_next(&dpdk.zmalloc_socket, "rte_zmalloc_socket");
    find_next(&dpdk.realloc, "rte_realloc");
}

/* Declared here and not by rte_malloc.h, which only the ports may include. */
void *rte_malloc(const char *type, size_t len, unsigned align);
void *rte_zmalloc(const char *type, size_t len, unsigned align);
void *rte_calloc(const char *type, size_t n, size_t len, unsigned align);
void *rte_malloc_socket(const char *type, size_t len, unsigned align, int socket);
void *rte_zmalloc_socket(const char *type, size_t len, unsigned align, int socket);
void *rte_realloc(void *ptr, size_t len, unsigned align);

EXPORT void *rte_malloc(const char *type, size_t len, unsigned align)
{
    mine.calls[PERF_MALLOC_DPDK]++;
    return dpdk.malloc(type, len, align);
}

EXPORT void *rte_zmalloc(const char *type, size_t len, unsigned align)
{
    mine.calls[PERF_MALLOC_DPDK]++;
    return dpdk.zmalloc(type, len, align);
}

EXPORT void *rte_calloc(const char *type, size_t n, size_t len, unsigned align)
{
    mine.calls[PERF_MALLOC_DPDK]++;
    return dpdk.calloc(type, n, len, align);
}

EXPORT void *rte_malloc_socket(const char *type, size_t len, unsigned align, int socket)
{
    mine.calls[PERF_MALLOC_DPDK]++;
    return dpdk.malloc_socket(type, len, align, socket);
}

EXPORT void *rte_zmalloc_socket(const char *type, size_t len, unsigned align, int socket)
{
    mine.calls[PERF_MALLOC_DPDK]++;
    return dpdk.zmalloc_socket(type, len, align, socket);
}

EXPORT void *rte_realloc(void *ptr, size_t len, unsigned align)
{
    mine.calls[PERF_MALLOC_DPDK]++;
    return dpdk.realloc(ptr, len, align);
}

/* ---- The lanes' arenas: calls to the private jemalloc come here by --wrap ---- */

#if defined(PERF_MALLOC_JEMALLOC)
void *__real_proa_je_mallocx(size_t len, int flags);
void *__wrap_proa_je_mallocx(size_t len, int flags);
void *__wrap_proa_je_mallocx(size_t len, int flags)
{
    mine.calls[PERF_MALLOC_ARENA]++;
    return __real_proa_je_mallocx(len, flags);
}
#endif
