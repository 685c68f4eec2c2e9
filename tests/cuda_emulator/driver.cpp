// A stand-in for NVIDIA's driver, for tests on machines without a GPU: the functions of libcuda.so.1 that
// this program calls, over host memory, with the emulated kernels behind cuLaunchKernel. It has one device.
//
// It is as strict as a device: every byte outside of an allocation is out of reach (allocations end at a
// page that cannot be touched, and what lies between is checked), a parameter of another size than the
// kernel's, an image for another device and a function that the image does not have are errors, and an
// illegal address is an error for ever. Work is done when it is asked for, so streams are always idle.
//
// Settings are taken from the environment, or from lines `name value` of the file that ORFEAS_CUDA_SETTINGS
// names, which is read anew for each context:
//
//   ORFEAS_CUDA_CAPABILITY      86         major and minor compute capability
//   ORFEAS_CUDA_TOTAL_BYTES     8000000000 memory
//   ORFEAS_CUDA_FAIL_ALLOCATION -1         the allocation that finds no memory, counted from 0; nor do those
//                                          after it, until some memory is given back
//   ORFEAS_CUDA_FAIL_LAUNCH     -1         the launch that meets an illegal address, counted from 0
//   ORFEAS_CUDA_WRONG_LAUNCH    -1         the launch whose kernel is not run
//   ORFEAS_CUDA_REFUSE_CUBIN    0          whether machine code is refused, as by a device of another kind
//   ORFEAS_CUDA_STREAMS         1000       the streams that there is room for
//   ORFEAS_CUDA_POOLS           1          whether allocations can be ordered by streams
#include "switch.h"

#include <atomic>
#include <condition_variable>
#include <csetjmp>
#include <csignal>
#include <mutex>
#include <set>
#include <thread>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT extern "C" __attribute__((visibility("default")))

typedef int Result;
typedef u64 Address;
enum : Result {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NOT_INITIALIZED = 3,
    INVALID_DEVICE = 101,
    INVALID_IMAGE = 200,
    INVALID_CONTEXT = 201,
    NO_BINARY_FOR_GPU = 209,
    UNSUPPORTED_PTX_VERSION = 222,
    INVALID_HANDLE = 400,
    NOT_FOUND = 500,
    ILLEGAL_ADDRESS = 700,
    LAUNCH_FAILED = 719,
};

namespace {

struct Allocation {
    u8* mapped;
    size_t mapped_bytes, bytes;
    bool of_pool;
};

struct Module {
    std::string image;
};

struct Function {
    emulator::Kernel kernel;
    std::string name;
};

struct Driver {
    std::mutex mutex;
    bool is_initialised = false, is_full = false, has_been_full = false;
    int retained = 0;
    Result sticky = SUCCESS;
    std::map<Address, Allocation> allocations;
    u64 live_bytes = 0, idle_bytes = 0, keep_bytes = 0, allocated = 0, launched = 0;
    std::set<void*> streams, events, modules;
    std::map<std::string, std::string> settings;
};

Driver& driver() {
    static Driver one;
    return one;
}

thread_local void* current = nullptr;
int context, pool;  // Their addresses are the handles.

// Read when there is no context, so that nothing changes under one.
void read_settings() {
    driver().settings.clear();
    const char* path = getenv("ORFEAS_CUDA_SETTINGS");
    FILE* file = path ? fopen(path, "r") : nullptr;
    char name[64], value[64];
    while (file && fscanf(file, "%63s %63s", name, value) == 2) driver().settings[name] = value;
    if (file) fclose(file);
}

i64 setting(const char* name, i64 otherwise) {
    auto found = driver().settings.find(name);
    const char* text = found != driver().settings.end() ? found->second.c_str() : getenv(name);
    return text ? atoll(text) : otherwise;
}

int capability() { return (int)setting("ORFEAS_CUDA_CAPABILITY", KIT_ARCH >= 800 ? 86 : 75); }

u64 total_bytes() { return setting("ORFEAS_CUDA_TOTAL_BYTES", 8000000000); }

Result ready() {
    if (!driver().is_initialised) return NOT_INITIALIZED;
    if (!current || !driver().retained) return INVALID_CONTEXT;
    return driver().sticky;
}

const size_t PAGE = 4096, ALIGNMENT = 256;
const u8 CANARY = 0xa5;

size_t rounded(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

// The allocation that holds these bytes.
std::map<Address, Allocation>::iterator holding(Address address, size_t bytes) {
    auto& all = driver().allocations;
    auto after = all.upper_bound(address);
    if (after == all.begin()) return all.end();
    auto found = std::prev(after);
    u64 offset = address - found->first;
    bool holds = offset <= found->second.bytes && bytes <= found->second.bytes - offset;
    return holds ? found : all.end();
}

// Whether nothing was stored before or behind an allocation.
bool is_whole(Address address, const Allocation& one) {
    u8 *first = one.mapped + PAGE, *begin = (u8*)address, *end = begin + one.bytes;
    u8* last = one.mapped + one.mapped_bytes - PAGE;
    for (u8* at = first; at < begin; at++)
        if (*at != CANARY) return false;
    for (u8* at = end; at < last; at++)
        if (*at != CANARY) return false;
    return true;
}

Result allocate(Address* address, size_t bytes, bool of_pool) {
    Driver& d = driver();
    if (!bytes || !address) return INVALID_VALUE;
    size_t taken = rounded(bytes, ALIGNMENT), from_idle = of_pool ? std::min<u64>(taken, d.idle_bytes) : 0;
    if ((i64)d.allocated == setting("ORFEAS_CUDA_FAIL_ALLOCATION", -1) && !d.has_been_full)
        d.is_full = d.has_been_full = true;
    if (d.is_full || d.live_bytes + d.idle_bytes - from_idle + taken > total_bytes()) return OUT_OF_MEMORY;
    // A page before and behind that nobody may touch.
    size_t mapped_bytes = rounded(taken, PAGE) + 2 * PAGE;
    void* mapped = mmap(nullptr, mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return OUT_OF_MEMORY;
    u8* end = (u8*)mapped + mapped_bytes - PAGE;
    u8* begin = end - taken;
    memset((u8*)mapped + PAGE, CANARY, begin - ((u8*)mapped + PAGE));
    memset(begin, 0xff, bytes);
    memset(begin + bytes, CANARY, taken - bytes);
    mprotect(mapped, PAGE, PROT_NONE);
    mprotect(end, PAGE, PROT_NONE);
    d.allocated++;
    d.idle_bytes -= from_idle;
    d.live_bytes += taken;
    *address = (Address)begin;
    d.allocations[*address] = {(u8*)mapped, mapped_bytes, bytes, of_pool};
    return SUCCESS;
}

Result release(Address address) {
    Driver& d = driver();
    auto found = d.allocations.find(address);
    if (found == d.allocations.end()) return INVALID_VALUE;
    if (!is_whole(address, found->second)) d.sticky = ILLEGAL_ADDRESS;
    size_t taken = rounded(found->second.bytes, ALIGNMENT);
    d.is_full = false;
    d.live_bytes -= taken;
    if (found->second.of_pool) d.idle_bytes = std::min<u64>(d.idle_bytes + taken, d.keep_bytes);
    munmap(found->second.mapped, found->second.mapped_bytes);
    d.allocations.erase(found);
    return d.sticky;
}

// What a thread that runs a block comes back to when the block cannot go on.
struct Escape {
    sigjmp_buf to;
    Result result;
};
thread_local Escape* escape = nullptr;
struct sigaction before_us;

void fault(int number, siginfo_t* info, void* machine) {
    if (escape) {
        escape->result = ILLEGAL_ADDRESS;
        siglongjmp(escape->to, 1);
    }
    if (before_us.sa_flags & SA_SIGINFO && before_us.sa_sigaction) return before_us.sa_sigaction(number, info, machine);
    signal(number, SIG_DFL);
}

[[noreturn]] void mistake(const char* what) {
    fprintf(stderr, "the emulated device: %s\n", what);
    escape->result = LAUNCH_FAILED;
    siglongjmp(escape->to, 1);
}

struct Work {
    dim3 grid;
    u32 threads;
    std::function<void()> body;
    std::atomic<u64> next{0};
    std::atomic<Result> result{SUCCESS};

    u64 count() const { return (u64)grid.x * grid.y * grid.z; }
};

void run_blocks(Work& work) {
    Escape mine{};
    // Not destroyed by the way out of a block; the fibers of that block are left as they are.
    emulator::Machine* machine = new emulator::Machine(work.grid, dim3{work.threads, 1, 1}, false, work.body);
    u32 random = 1;
    escape = &mine;
    if (sigsetjmp(mine.to, 1) == 0) {
        for (u64 i; work.result == SUCCESS && (i = work.next++) < work.count();) machine->run(i, 0, random);
    } else {
        work.result = mine.result;
        emulator::block = nullptr;
    }
    escape = nullptr;
    delete machine;
}

// Runs blocks on every core. The helpers are started with the first launch and never end.
struct Helpers {
    std::mutex mutex;
    std::condition_variable changed;
    Work* work = nullptr;
    unsigned round = 0, busy = 0, count = 0;

    void start() {
        count = std::max(1u, std::thread::hardware_concurrency()) - 1;
        for (unsigned i = 0; i < count; i++) std::thread([this] { help(); }).detach();
    }
    void help() {
        for (unsigned seen = 0;;) {
            std::unique_lock<std::mutex> lock(mutex);
            changed.wait(lock, [&] { return round != seen; });
            seen = round;
            Work* mine = work;
            lock.unlock();
            run_blocks(*mine);
            lock.lock();
            if (--busy == 0) changed.notify_all();
        }
    }
    void run(Work& all) {
        static std::once_flag once;
        std::call_once(once, [this] { start(); });
        if (all.count() < 2) return run_blocks(all);
        {
            std::lock_guard<std::mutex> lock(mutex);
            work = &all;
            busy = count;
            round++;
        }
        changed.notify_all();
        run_blocks(all);
        std::unique_lock<std::mutex> lock(mutex);
        changed.wait(lock, [&] { return busy == 0; });
    }
};

Helpers& helpers() {
    // Never destroyed: its threads outlive every destructor.
    static Helpers* one = new Helpers;
    return *one;
}

// Where machine code ends: behind its table of sections or of segments.
size_t elf_bytes(const u8* image) {
    u64 sections, segments;
    u16 sizes[6];
    memcpy(&segments, image + 32, 8);
    memcpy(&sections, image + 40, 8);
    memcpy(sizes, image + 52, 12);
    return std::max(sections + (u64)sizes[3] * sizes[4], segments + (u64)sizes[1] * sizes[2]);
}

Result check_image(const std::string& image, bool is_elf) {
    int mine = capability();
    if (is_elf) {
        u32 flags;
        memcpy(&flags, image.data() + 48, 4);
        if (setting("ORFEAS_CUDA_REFUSE_CUBIN", 0)) return NO_BINARY_FOR_GPU;
        // The place of the capability depends on the version of the format.
        int first = flags & 0xff, second = flags >> 8 & 0xff;
        auto fits = [&](int made) { return made / 10 == mine / 10 && made <= mine; };
        return fits(first) || fits(second) ? SUCCESS : NO_BINARY_FOR_GPU;
    }
    size_t version = image.find(".version "), target = image.find(".target sm_");
    if (version == std::string::npos || target == std::string::npos) return INVALID_IMAGE;
    if (atof(image.c_str() + version + 9) > 8.0) return UNSUPPORTED_PTX_VERSION;
    return atoi(image.c_str() + target + 11) <= mine ? SUCCESS : NO_BINARY_FOR_GPU;
}

}  // namespace

EXPORT Result cuInit(unsigned) {
    std::lock_guard<std::mutex> lock(driver().mutex);
    if (!driver().is_initialised) {
        emulator::on_failure = mistake;
        struct sigaction ours {};
        ours.sa_sigaction = fault;
        ours.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
        sigaction(SIGSEGV, &ours, &before_us);
        sigaction(SIGBUS, &ours, nullptr);
        driver().is_initialised = true;
        read_settings();
    }
    return SUCCESS;
}
EXPORT Result cuDriverGetVersion(int* version) { return *version = 12000, SUCCESS; }
EXPORT Result cuGetErrorName(Result error, const char** name) {
    *name = error == SUCCESS ? "CUDA_SUCCESS" : "CUDA_ERROR";
    return SUCCESS;
}
EXPORT Result cuGetErrorString(Result error, const char** text) {
    switch (error) {
        case SUCCESS: *text = "no error"; break;
        case INVALID_VALUE: *text = "invalid argument"; break;
        case OUT_OF_MEMORY: *text = "out of memory"; break;
        case NO_BINARY_FOR_GPU: *text = "no kernel image is available for execution on the device"; break;
        case UNSUPPORTED_PTX_VERSION: *text = "the provided PTX was compiled with an unsupported toolchain."; break;
        case NOT_FOUND: *text = "named symbol not found"; break;
        case ILLEGAL_ADDRESS: *text = "an illegal memory access was encountered"; break;
        case LAUNCH_FAILED: *text = "unspecified launch failure"; break;
        default: *text = "an error"; break;
    }
    return SUCCESS;
}

EXPORT Result cuDeviceGetCount(int* count) { return *count = 1, SUCCESS; }
EXPORT Result cuDeviceGet(int* device, int ordinal) {
    if (ordinal != 0) return INVALID_DEVICE;
    return *device = 0, SUCCESS;
}
EXPORT Result cuDeviceGetName(char* name, int room, int) { return snprintf(name, room, "Emulated device"), SUCCESS; }
EXPORT Result cuDeviceGetUuid_v2(u8* uuid, int) { return memset(uuid, 0x11, 16), SUCCESS; }
EXPORT Result cuDeviceTotalMem_v2(size_t* bytes, int) {
    std::lock_guard<std::mutex> lock(driver().mutex);
    if (!driver().retained) read_settings();
    return *bytes = total_bytes(), SUCCESS;
}
EXPORT Result cuDeviceGetAttribute(int* value, int attribute, int) {
    switch (attribute) {
        case 13: *value = 1500000; break;  // kHz
        case 16: *value = 16; break;  // multiprocessors
        case 75: *value = capability() / 10; break;
        case 76: *value = capability() % 10; break;
        case 115: *value = (int)setting("ORFEAS_CUDA_POOLS", 1); break;
        default: return INVALID_VALUE;
    }
    return SUCCESS;
}

EXPORT Result cuDevicePrimaryCtxRetain(void** handle, int) {
    std::lock_guard<std::mutex> lock(driver().mutex);
    if (!driver().is_initialised) return NOT_INITIALIZED;
    if (driver().retained++ == 0) {
        read_settings();
        driver().sticky = SUCCESS;
        driver().allocated = driver().launched = 0;
        driver().idle_bytes = driver().keep_bytes = 0;
        driver().is_full = driver().has_been_full = false;
        // Those of a context that was lost went with it.
        driver().streams.clear();
        driver().events.clear();
    }
    return *handle = &context, SUCCESS;
}
EXPORT Result cuDevicePrimaryCtxRelease_v2(int) {
    std::lock_guard<std::mutex> lock(driver().mutex);
    if (!driver().retained) return INVALID_CONTEXT;
    // What was not given back stays taken until the process ends, so that a leak shows.
    driver().retained--;
    return SUCCESS;
}
EXPORT Result cuCtxSetCurrent(void* handle) {
    if (handle && handle != &context) return INVALID_CONTEXT;
    return current = handle, SUCCESS;
}
EXPORT Result cuCtxGetCurrent(void** handle) { return *handle = current, SUCCESS; }
EXPORT Result cuCtxSynchronize() {
    std::lock_guard<std::mutex> lock(driver().mutex);
    return ready();
}
EXPORT Result cuCtxGetStreamPriorityRange(int* least, int* greatest) {
    *least = 0, *greatest = -5;
    return SUCCESS;
}

static Result create(std::set<void*>& all, void** handle) {
    std::lock_guard<std::mutex> lock(driver().mutex);
    if (Result result = ready()) return result;
    *handle = new char;
    all.insert(*handle);
    return SUCCESS;
}
static Result destroy(std::set<void*>& all, void* handle) {
    std::lock_guard<std::mutex> lock(driver().mutex);
    if (!all.erase(handle)) return INVALID_HANDLE;
    delete (char*)handle;
    return driver().sticky;
}
static Result use(std::set<void*>& all, void* handle) {
    std::lock_guard<std::mutex> lock(driver().mutex);
    if (Result result = ready()) return result;
    return all.count(handle) ? SUCCESS : INVALID_HANDLE;
}
EXPORT Result cuStreamCreateWithPriority(void** handle, unsigned, int) {
    {
        std::lock_guard<std::mutex> lock(driver().mutex);
        if ((i64)driver().streams.size() >= setting("ORFEAS_CUDA_STREAMS", 1000)) return OUT_OF_MEMORY;
    }
    return create(driver().streams, handle);
}
EXPORT Result cuStreamDestroy_v2(void* handle) { return destroy(driver().streams, handle); }
EXPORT Result cuStreamSynchronize(void* handle) { return use(driver().streams, handle); }
EXPORT Result cuEventCreate(void** handle, unsigned) { return create(driver().events, handle); }
EXPORT Result cuEventDestroy_v2(void* handle) { return destroy(driver().events, handle); }
EXPORT Result cuEventSynchronize(void* handle) { return use(driver().events, handle); }
EXPORT Result cuEventRecord(void* event, void* stream) {
    if (Result result = use(driver().events, event)) return result;
    return use(driver().streams, stream);
}

EXPORT Result cuMemGetInfo_v2(size_t* free, size_t* total) {
    std::lock_guard<std::mutex> lock(driver().mutex);
    if (Result result = ready()) return result;
    *total = total_bytes();
    u64 taken = driver().live_bytes + driver().idle_bytes;
    *free = taken < *total ? *total - taken : 0;
    return SUCCESS;
}
EXPORT Result cuMemAlloc_v2(Address* address, size_t bytes) {
    std::lock_guard<std::mutex> lock(driver().mutex);
    if (Result result = ready()) return result;
    return allocate(address, bytes, false);
}
EXPORT Result cuMemAllocAsync(Address* address, size_t bytes, void* stream) {
    if (Result result = use(driver().streams, stream)) return result;
    std::lock_guard<std::mutex> lock(driver().mutex);
    return setting("ORFEAS_CUDA_POOLS", 1) ? allocate(address, bytes, true) : 801;
}
EXPORT Result cuMemFree_v2(Address address) {
    std::lock_guard<std::mutex> lock(driver().mutex);
    return release(address);
}
EXPORT Result cuMemFreeAsync(Address address, void* stream) {
    std::lock_guard<std::mutex> lock(driver().mutex);
    if (!driver().streams.count(stream)) return INVALID_HANDLE;
    return release(address);
}
EXPORT Result cuDeviceGetDefaultMemPool(void** handle, int) { return *handle = &pool, SUCCESS; }
EXPORT Result cuMemPoolSetAttribute(void*, int attribute, void* value) {
    std::lock_guard<std::mutex> lock(driver().mutex);
    if (attribute == 3) return SUCCESS;        // whether streams wait for one another: none has anything to do
    if (attribute != 4) return INVALID_VALUE;  // the release threshold
    driver().keep_bytes = *(u64*)value;
    return SUCCESS;
}
EXPORT Result cuMemPoolTrimTo(void*, size_t keep) {
    std::lock_guard<std::mutex> lock(driver().mutex);
    driver().idle_bytes = std::min<u64>(driver().idle_bytes, keep);
    return driver().sticky;
}

template <class Copy>
static Result transfer(std::initializer_list<Address> places, size_t bytes, Copy copy) {
    std::lock_guard<std::mutex> lock(driver().mutex);
    if (Result result = ready()) return result;
    for (Address place : places)
        if (holding(place, bytes) == driver().allocations.end()) return INVALID_VALUE;
    copy();
    return SUCCESS;
}
EXPORT Result cuMemcpyHtoDAsync_v2(Address to, const void* from, size_t bytes, void*) {
    return transfer({to}, bytes, [&] { memcpy((void*)to, from, bytes); });
}
EXPORT Result cuMemcpyDtoHAsync_v2(void* to, Address from, size_t bytes, void*) {
    return transfer({from}, bytes, [&] { memcpy(to, (void*)from, bytes); });
}
EXPORT Result cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes, void*) {
    return transfer({to, from}, bytes, [&] { memmove((void*)to, (void*)from, bytes); });
}
EXPORT Result cuMemsetD8Async(Address to, u8 value, size_t bytes, void*) {
    return transfer({to}, bytes, [&] { memset((void*)to, value, bytes); });
}

// For the stand-in of cuBLASLt beside this: whether memory is allocated, an access to memory that is not, and
// the settings.
EXPORT int emulated_memory(Address address, size_t bytes) {
    std::lock_guard<std::mutex> lock(driver().mutex);
    return holding(address, bytes) != driver().allocations.end();
}
EXPORT void emulated_fault() {
    std::lock_guard<std::mutex> lock(driver().mutex);
    driver().sticky = ILLEGAL_ADDRESS;
}
EXPORT i64 emulated_setting(const char* name, i64 otherwise) {
    std::lock_guard<std::mutex> lock(driver().mutex);
    return setting(name, otherwise);
}

EXPORT Result cuModuleLoadData(void** handle, const void* image) {
    std::lock_guard<std::mutex> lock(driver().mutex);
    if (Result result = ready()) return result;
    bool is_elf = memcmp(image, "\x7f"
                                "ELF",
                         4) == 0;
    std::string content((const char*)image, is_elf ? elf_bytes((const u8*)image) : strlen((const char*)image));
    if (Result result = check_image(content, is_elf)) return result;
    *handle = new Module{content};
    driver().modules.insert(*handle);
    return SUCCESS;
}
EXPORT Result cuModuleUnload(void* handle) {
    std::lock_guard<std::mutex> lock(driver().mutex);
    if (!driver().modules.erase(handle)) return INVALID_HANDLE;
    delete (Module*)handle;
    return driver().sticky;
}
EXPORT Result cuModuleGetFunction(void** handle, void* module, const char* name) {
    std::lock_guard<std::mutex> lock(driver().mutex);
    if (Result result = ready()) return result;
    if (!driver().modules.count(module)) return INVALID_HANDLE;
    auto found = emulator::kernels().find(name);
    bool is_there = ((Module*)module)->image.find(name) != std::string::npos;
    if (!is_there || found == emulator::kernels().end()) return NOT_FOUND;
    // A few hundred for the life of a process.
    *handle = new Function{found->second, name};
    return SUCCESS;
}
EXPORT Result cuLaunchKernel(Function* function, unsigned x, unsigned y, unsigned z, unsigned threads_x,
                             unsigned threads_y, unsigned threads_z, unsigned, void* stream, void** params,
                             void** extra) {
    if (Result result = use(driver().streams, stream)) return result;
    static std::mutex one_at_a_time;
    std::lock_guard<std::mutex> turn(one_at_a_time);
    if (!function || params || !extra || !x || !y || !z) return INVALID_VALUE;
    if (threads_x * threads_y * threads_z != function->kernel.threads) return INVALID_VALUE;
    // Pairs of a name and a value: 1 the parameters, 2 their size, 0 the end.
    const void* bytes = nullptr;
    size_t size = 0;
    for (; *extra; extra += 2) {
        if ((u64)extra[0] == 1) bytes = extra[1];
        if ((u64)extra[0] == 2) size = *(size_t*)extra[1];
    }
    if (!bytes || size != function->kernel.param_bytes) return INVALID_VALUE;
    std::vector<u64> mine((size + 7) / 8);
    memcpy(mine.data(), bytes, size);
    i64 number = driver().launched++;
    Work work;
    work.grid = dim3{x, y, z};
    work.threads = threads_x;
    work.body = [&] { function->kernel.run(mine.data()); };
    if (number == setting("ORFEAS_CUDA_FAIL_LAUNCH", -1)) work.result = ILLEGAL_ADDRESS;
    if (work.result == SUCCESS && number != setting("ORFEAS_CUDA_WRONG_LAUNCH", -1)) helpers().run(work);
    if (work.result != SUCCESS) {
        std::lock_guard<std::mutex> lock(driver().mutex);
        driver().sticky = work.result;
    }
    // As on a device, the launch itself succeeds, and what comes after it tells.
    return SUCCESS;
}
