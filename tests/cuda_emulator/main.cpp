// Runs kernels on the CPU for another program: a request on the standard input, the buffers after each run
// on the standard output. All numbers are little-endian.
//
// A request: u32 bytes of the kernel's name, the name; u32 grid x, y, z; u32 threads x, y, z;
// u32 buffers, for each u64 bytes and the bytes; u32 bytes of the parameters, the parameters;
// u32 pointers, which come first among the parameters; u32 runs, for each u32 order and u32 late.
//
// A pointer is 0, or (buffer + 1) << 40 plus an offset in bytes.
#include "switch.h"

#include KIT_SOURCE

[[noreturn]] static void refuse(const char* what) {
    fprintf(stderr, "a bad request: %s\n", what);
    exit(3);
}

static void take(void* to, size_t bytes) {
    if (bytes && fread(to, bytes, 1, stdin) != 1) refuse("it ends early");
}

static u32 take_u32() {
    u32 value;
    take(&value, 4);
    return value;
}

static dim3 take_dim3() {
    dim3 value;
    take(&value, 12);
    return value;
}

int main() {
    std::string name(take_u32(), ' ');
    take(&name[0], name.size());
    auto found = emulator::kernels().find(name);
    if (found == emulator::kernels().end()) refuse("no such kernel");
    const emulator::Kernel& kernel = found->second;
    dim3 grid = take_dim3(), threads = take_dim3();
    if (threads.x * threads.y * threads.z != kernel.threads) refuse("not the threads the kernel is made for");

    std::vector<std::vector<u8>> before(take_u32());
    std::vector<u8*> buffers;
    for (auto& bytes : before) {
        u64 size;
        take(&size, 8);
        bytes.resize(size);
        take(bytes.data(), size);
        // As aligned as device memory, and no byte longer than asked for.
        void* buffer;
        if (posix_memalign(&buffer, 256, size)) refuse("too large");
        buffers.push_back((u8*)buffer);
    }
    std::vector<u64> params((take_u32() + 7) / 8);
    if (params.size() * 8 != (kernel.param_bytes + 7) / 8 * 8) refuse("parameters of another size");
    take(params.data(), kernel.param_bytes);
    u32 pointers = take_u32();
    if (pointers > params.size()) refuse("more pointers than parameters");
    for (u32 i = 0; i < pointers; i++) {
        if (!params[i]) continue;
        u64 buffer = (params[i] >> 40) - 1;
        if (buffer >= buffers.size()) refuse("a pointer into no buffer");
        params[i] = (u64)(uintptr_t)(buffers[buffer] + (params[i] & (((u64)1 << 40) - 1)));
    }

    for (u32 runs = take_u32(); runs; runs--) {
        u32 order = take_u32(), late = take_u32();
        for (size_t i = 0; i < buffers.size(); i++) memcpy(buffers[i], before[i].data(), before[i].size());
        emulator::launch(grid, threads, (int)order, late != 0, [&] { kernel.run(params.data()); });
        for (size_t i = 0; i < buffers.size(); i++) fwrite(buffers[i], 1, before[i].size(), stdout);
    }
    return fflush(stdout) ? 1 : 0;
}
