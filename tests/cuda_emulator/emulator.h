// Takes the place of shaders/cuda/kit.cuh when the kernels are compiled for the CPU: the same names, with a
// fiber for each CUDA thread. Warp collectives meet at the last lane, barriers at the last thread. A block's
// shared memory begins as NaN and is allocated exactly, so that AddressSanitizer sees a stray access.
//
// `late` chooses between the two legal readings of an asynchronous copy: it happens at once, or it happens
// when it is waited for and its destination is garbage until then. `order` chooses which warp runs first.
#ifndef KIT_CUH
#define KIT_CUH

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if !(defined(__x86_64__) && defined(__ELF__))
#include <ucontext.h>
#define KIT_UCONTEXT
#endif

typedef signed char i8;
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef long long i64;
typedef unsigned long long u64;

struct dim3 {
    unsigned x, y, z;
};

namespace emulator {

enum class State { Ready, AtWarp, AtBlock, Done };

// An asynchronous copy under way.
struct Copy {
    void* to;
    const void* from;
    int bytes;
    int group;
};

struct Fiber {
#ifdef KIT_UCONTEXT
    ucontext_t context;
#else
    void* stack_pointer;
#endif
    State state;
    dim3 thread;
    unsigned number;
    u8* stack;
    void* fake_stack;
    unsigned collectives;
    int group;
    std::vector<Copy> copies;
};

// What the lanes of a warp bring to a collective and take from it. Two sets, as one lane may be in the
// next collective before another has taken its result from the last.
struct Warp {
    unsigned arrived;
    const char* what[2];
    u64 in[2][32][8];
    u64 out[2][32][4];
};

struct Block {
    std::vector<Fiber> fibers;
    std::vector<Warp> warps;
    dim3 index, threads, grid;
    std::function<void()> body;
    Fiber* current;
#ifdef KIT_UCONTEXT
    ucontext_t scheduler;
#else
    void* scheduler;
#endif
    const void* scheduler_stack;
    size_t scheduler_stack_bytes;
    void* scheduler_fake_stack;
    unsigned live, at_barrier;
    bool late;
    u8* shared;
    size_t shared_bytes;
};

// Of the thread of this process that runs the block.
inline thread_local Block* block = nullptr;
const size_t STACK_BYTES = 64 << 10;

// What is done about a mistake of a kernel; it does not return. Without it the process ends.
inline void (*on_failure)(const char* what) = nullptr;

[[noreturn]] inline void fail(const char* what) {
    if (on_failure) on_failure(what);
    fprintf(stderr, "%s (block %u,%u, thread %u)\n", what, block->index.x, block->index.y,
            block->current ? block->current->number : 0);
    exit(2);
}

#ifndef KIT_UCONTEXT
extern "C" void emulator_switch(void** save, void* load);
#endif

inline void start_switch(void** fake, const void* stack, size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(fake, stack, bytes);
#else
    (void)fake, (void)stack, (void)bytes;
#endif
}

inline void finish_switch(void* fake, const void** stack, size_t* bytes) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(fake, stack, bytes);
#else
    (void)fake, (void)stack, (void)bytes;
#endif
}

// From a fiber to the scheduler.
inline void pause() {
    Fiber* me = block->current;
    start_switch(&me->fake_stack, block->scheduler_stack, block->scheduler_stack_bytes);
#ifdef KIT_UCONTEXT
    swapcontext(&me->context, &block->scheduler);
#else
    emulator_switch(&me->stack_pointer, block->scheduler);
#endif
    finish_switch(me->fake_stack, nullptr, nullptr);
}

// From the scheduler to a fiber.
inline void resume(Fiber& fiber) {
    block->current = &fiber;
    start_switch(&block->scheduler_fake_stack, fiber.stack, STACK_BYTES);
#ifdef KIT_UCONTEXT
    swapcontext(&block->scheduler, &fiber.context);
#else
    emulator_switch(&block->scheduler, fiber.stack_pointer);
#endif
    finish_switch(block->scheduler_fake_stack, nullptr, nullptr);
}

inline void release_barrier() {
    if (block->live == 0 || block->at_barrier < block->live) return;
    block->at_barrier = 0;
    for (Fiber& fiber : block->fibers)
        if (fiber.state == State::AtBlock) fiber.state = State::Ready;
}

inline void fiber_main() {
    finish_switch(nullptr, &block->scheduler_stack, &block->scheduler_stack_bytes);
    block->body();
    block->current->state = State::Done;
    block->live--;
    // A thread that has ended is not waited for.
    release_barrier();
    pause();
    abort();
}

inline void barrier() {
    Fiber* me = block->current;
    me->state = State::AtBlock;
    block->at_barrier++;
    release_barrier();
    while (me->state == State::AtBlock) pause();
}

// The lanes bring up to 8 words each; the last one computes for all.
template <class Compute>
inline u64* collective(const char* what, const u64* in, int words, Compute compute) {
    Fiber* me = block->current;
    unsigned lane = me->number & 31, set = me->collectives++ & 1;
    Warp& warp = block->warps[me->number >> 5];
    memcpy(warp.in[set][lane], in, words * 8);
    if (warp.arrived == 0) warp.what[set] = what;
    if (strcmp(warp.what[set], what)) fail("the lanes of a warp are in different collectives");
    if (++warp.arrived == 32) {
        warp.arrived = 0;
        compute(warp.in[set], warp.out[set]);
        Fiber* first = me - lane;
        for (int i = 0; i < 32; i++) first[i].state = State::Ready;
    } else {
        me->state = State::AtWarp;
        while (me->state == State::AtWarp) pause();
    }
    return warp.out[set][lane];
}

// Which of the warps that can go on goes on: the first, the last, or any.
inline int choose(const std::vector<int>& ready, int order, u32& random) {
    if (order == 0) return ready.front();
    if (order == 1) return ready.back();
    random = random * 1664525u + 1013904223u;
    return ready[(random >> 16) % ready.size()];
}

inline void prepare(Fiber& fiber) {
    fiber.state = State::Ready;
    fiber.collectives = 0;
    fiber.group = 0;
    fiber.copies.clear();
    fiber.fake_stack = nullptr;
#ifdef KIT_UCONTEXT
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack;
    fiber.context.uc_stack.ss_size = STACK_BYTES;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, fiber_main, 0);
#else
    void** top = (void**)(((uintptr_t)fiber.stack + STACK_BYTES) & ~(uintptr_t)15);
    *--top = nullptr;
    *--top = (void*)fiber_main;
    for (int i = 0; i < 6; i++) *--top = nullptr;
    fiber.stack_pointer = top;
#endif
}

inline void run_block(int order, u32& random) {
    unsigned count = block->fibers.size(), warps = (count + 31) / 32;
    block->live = count;
    block->at_barrier = 0;
    block->shared_bytes = 0;
    for (Warp& warp : block->warps) warp.arrived = 0;
    for (Fiber& fiber : block->fibers) prepare(fiber);
    std::vector<int> ready;
    while (block->live) {
        ready.clear();
        for (unsigned w = 0; w < warps; w++)
            for (unsigned i = w * 32; i < count && i < w * 32 + 32; i++)
                if (block->fibers[i].state == State::Ready) {
                    ready.push_back(w);
                    break;
                }
        if (ready.empty()) fail("deadlock: a barrier or a collective that not all reach");
        unsigned warp = choose(ready, order, random);
        // Until the warp stands at a barrier, or for one turn of its lanes in the random order.
        for (bool again = true; again;) {
            again = false;
            for (unsigned lane = 0; lane < 32; lane++) {
                unsigned i = warp * 32 + (order == 1 ? 31 - lane : lane);
                if (i >= count || block->fibers[i].state != State::Ready) continue;
                resume(block->fibers[i]);
                again = order < 2;
            }
        }
    }
    free(block->shared);
    block->shared = nullptr;
}

// Fibers and their stacks, used for one block after another.
struct Machine {
    Block all{};
    u8* stacks = nullptr;

    Machine(dim3 grid, dim3 threads, bool late, std::function<void()> body) {
        unsigned count = threads.x * threads.y * threads.z;
        all.grid = grid;
        all.threads = threads;
        all.body = body;
        all.late = late;
        all.fibers.resize(count);
        all.warps.resize((count + 31) / 32);
        stacks = (u8*)malloc(count * STACK_BYTES);
        if (!stacks) abort();
        for (unsigned i = 0; i < count; i++) {
            all.fibers[i].number = i;
            all.fibers[i].thread = {i % threads.x, i / threads.x % threads.y, i / (threads.x * threads.y)};
            all.fibers[i].stack = stacks + i * STACK_BYTES;
        }
    }
    ~Machine() { free(stacks); }
    Machine(const Machine&) = delete;

    void run(u64 number, int order, u32& random) {
        block = &all;
        all.index = {(unsigned)(number % all.grid.x), (unsigned)(number / all.grid.x % all.grid.y),
                     (unsigned)(number / ((u64)all.grid.x * all.grid.y))};
        run_block(order, random);
        block = nullptr;
    }
};

inline void launch(dim3 grid, dim3 threads, int order, bool late, std::function<void()> body) {
    Machine machine(grid, threads, late, body);
    u32 random = order * 2654435761u + 1;
    for (u64 i = 0; i < (u64)grid.x * grid.y * grid.z; i++) machine.run(i, order, random);
}

// The block's shared memory, which its first thread to arrive allocates.
inline u8* shared_memory(size_t bytes) {
    if (bytes > 48 << 10) fail("more shared memory than 48 KiB");
    if (!block->shared) {
        if (posix_memalign((void**)&block->shared, 128, bytes)) fail("no memory");
        memset(block->shared, 0xff, bytes);
        block->shared_bytes = bytes;
    }
    if (block->shared_bytes != bytes) fail("a second array of shared memory");
    return block->shared;
}

inline float widen_half(u16 half) {
    struct Table {
        float values[65536];
        Table() {
            for (u32 i = 0; i < 65536; i++) {
                u32 exponent = i >> 10 & 31, fraction = i & 1023;
                float value = exponent == 31  ? (fraction ? NAN : INFINITY)
                              : exponent == 0 ? std::ldexp((float)fraction, -24)
                                              : std::ldexp(1.f + fraction / 1024.f, (int)exponent - 15);
                values[i] = i & 0x8000 ? -value : value;
            }
        }
    };
    static const Table table;
    return table.values[half];
}

inline u32 bits_of(float value) {
    u32 bits;
    memcpy(&bits, &value, 4);
    return bits;
}

inline float float_of(u32 bits) {
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

inline u16 narrow_half(float value) {
    u32 bits = bits_of(value), sign = bits >> 16 & 0x8000;
    bits &= 0x7fffffff;
    if (bits > 0x7f800000) return 0x7fff;
    if (bits >= 0x477ff000) return sign | 0x7c00;
    // A subnormal: adding a half leaves the wanted bits at the end of the fraction, rounded.
    if (bits < 0x38800000) return sign | (u16)(bits_of(float_of(bits) + 0.5f) - 0x3f000000);
    return sign | (u16)((bits + 0xc8000fff + (bits >> 13 & 1)) >> 13);
}

inline u64 two(u32 low, u32 high) { return low | (u64)high << 32; }

// Any of the matrix products, DEPTH numbers deep; UNPACK turns a lane's word into 16-bit or 32-bit numbers.
template <int DEPTH, float (*Read)(const void*, int)>
inline void multiply_add(const char* what, float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    u64 in[5] = {two(a[0], a[1]), two(a[2], a[3]), two(b0, b1), two(bits_of(c[0]), bits_of(c[1])),
                 two(bits_of(c[2]), bits_of(c[3]))};
    u64* out = collective(what, in, 5, [](u64(*in)[8], u64(*out)[4]) {
        const int EACH = DEPTH / 8;  // numbers in a word
        float a[16][DEPTH], b[DEPTH][8], c[16][8];
        for (int lane = 0; lane < 32; lane++) {
            int g = lane >> 2, t = lane & 3;
            const void *from_a = in[lane], *from_b = &in[lane][2];
            const float* from_c = (const float*)&in[lane][3];
            for (int e = 0; e < EACH; e++)
                for (int word = 0; word < 4; word++) {
                    int k = t * EACH + e + word / 2 * 4 * EACH;
                    a[g + word % 2 * 8][k] = Read(from_a, word * EACH + e);
                    if (word < 2) b[t * EACH + e + word * 4 * EACH][g] = Read(from_b, word * EACH + e);
                }
            for (int e = 0; e < 4; e++) c[g + e / 2 * 8][t * 2 + e % 2] = from_c[e];
        }
        for (int i = 0; i < 16; i++)
            for (int k = 0; k < DEPTH; k++)
                for (int j = 0; j < 8; j++) c[i][j] += a[i][k] * b[k][j];
        for (int lane = 0; lane < 32; lane++)
            for (int e = 0; e < 4; e++) ((float*)out[lane])[e] = c[(lane >> 2) + e / 2 * 8][(lane & 3) * 2 + e % 2];
    });
    memcpy(c, out, 16);
}

inline float read_half(const void* words, int i) { return widen_half(((const u16*)words)[i]); }
inline float read_brain(const void* words, int i) { return float_of((u32)((const u16*)words)[i] << 16); }
// The hardware reads 19 bits, whatever the others hold.
inline float read_tensor32(const void* words, int i) { return float_of(((const u32*)words)[i] & ~0x1fffu); }

template <bool TRANSPOSED>
inline void load_matrices(u32 (&to)[4], const void* row) {
    u64 in = (u64)(uintptr_t)row;
    if (in & 15) fail("a matrix's row is not aligned");
    u64* out = collective(TRANSPOSED ? "ldmatrix.trans" : "ldmatrix", &in, 1, [](u64(*in)[8], u64(*out)[4]) {
        for (int lane = 0; lane < 32; lane++)
            for (int i = 0; i < 8; i++) {
                int row = lane >> 2, column = (lane & 3) * 2 + i % 2;
                if (TRANSPOSED) std::swap(row, column);
                ((u16*)out[lane])[i] = ((const u16*)in[i / 2 * 8 + row][0])[column];
            }
    });
    memcpy(to, out, 16);
}

// The kernels by name; each file of kernels enters its own.
struct Kernel {
    size_t param_bytes;
    unsigned threads;
    std::function<void(const void*)> run;
};

inline std::map<std::string, Kernel>& kernels() {
    static std::map<std::string, Kernel> all;
    return all;
}

template <class Params>
struct Entry {
    Entry(const char* name, unsigned threads, void (*kernel)(const Params&)) {
        kernels()[name] = {sizeof(Params), threads, [kernel](const void* p) { kernel(*(const Params*)p); }};
    }
};

}  // namespace emulator

#define threadIdx (emulator::block->current->thread)
#define blockIdx (emulator::block->index)
#define blockDim (emulator::block->threads)
#define gridDim (emulator::block->grid)
#define __syncthreads() emulator::barrier()

#ifndef KIT_ARCH
#define KIT_ARCH 800
#endif
#define KIT_FUNCTION inline
#define KIT_KERNEL(name, Params, threads, blocks, registers)                  \
    static void name(const Params& p);                                       \
    static const emulator::Entry<Params> name##_entry(#name, threads, name); \
    static void name(const Params& p)
#define KIT_SHARED(name, bytes) unsigned char* name = emulator::shared_memory(bytes)

inline float rsqrtf(float x) { return 1.f / std::sqrt(x); }

namespace kit {

inline void copy_async_16(void* shared, const void* global, int bytes) {
    if (((uintptr_t)shared | (uintptr_t)global) & 15) emulator::fail("an asynchronous copy is not aligned");
    if (bytes < 0 || bytes > 16) emulator::fail("an asynchronous copy of more than 16 bytes");
    if (emulator::block->late && KIT_ARCH >= 800) {
        memset(shared, 0xff, 16);
        emulator::block->current->copies.push_back({shared, global, bytes, emulator::block->current->group});
    } else {
        memset(shared, 0, 16);
        memcpy(shared, global, bytes);
    }
}
inline void commit_copies() { emulator::block->current->group++; }
template <int Groups>
inline void wait_for_copies() {
    emulator::Fiber* me = emulator::block->current;
    size_t done = 0;
    for (; done < me->copies.size() && me->copies[done].group < me->group - Groups; done++) {
        emulator::Copy& copy = me->copies[done];
        memset(copy.to, 0, 16);
        memcpy(copy.to, copy.from, copy.bytes);
    }
    me->copies.erase(me->copies.begin(), me->copies.begin() + done);
}
inline void load_matrices(u32 (&to)[4], const void* row) { emulator::load_matrices<false>(to, row); }
inline void load_matrices_transposed(u32 (&to)[4], const void* row) { emulator::load_matrices<true>(to, row); }
inline u32 shuffle_xor_bits(u32 value, int mask) {
    u64 in[2] = {value, (u64)mask};
    u64* out = emulator::collective("shfl.xor", in, 2, [](u64(*in)[8], u64(*out)[4]) {
        for (int lane = 0; lane < 32; lane++) out[lane][0] = in[lane ^ (int)in[lane][1]][0];
    });
    return (u32)out[0];
}
inline float shuffle_xor(float value, int mask) {
    return emulator::float_of(shuffle_xor_bits(emulator::bits_of(value), mask));
}
inline void sync_warp() {
    emulator::collective("syncwarp", nullptr, 0, [](u64(*)[8], u64(*)[4]) {});
}
inline u32 float_bits(float value) { return emulator::bits_of(value); }
inline float bits_float(u32 bits) { return emulator::float_of(bits); }
inline int count_bits(u32 word) { return __builtin_popcount(word); }
inline float infinity() { return INFINITY; }

struct Float {
    typedef float Stored;
    static float widen(float value) { return value; }
    static float narrow(float value) { return value; }
};

struct Half {
    typedef u16 Stored;
    static float widen(u16 value) { return emulator::widen_half(value); }
    static u16 narrow(float value) { return emulator::narrow_half(value); }
    static u32 pack(float low, float high) { return narrow(low) | (u32)narrow(high) << 16; }
    static u32 pack_integers(u16 pair) { return pack((float)(i8)(pair & 0xff), (float)(i8)(pair >> 8)); }
    static u32 operand(u32 word) { return word; }
    static void multiply_add(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
        emulator::multiply_add<16, emulator::read_half>("mma.f16", c, a, b0, b1);
    }
};

struct Brain {
    typedef u16 Stored;
    static float widen(u16 value) { return emulator::float_of((u32)value << 16); }
    static u16 narrow(float value) {
        u32 bits = emulator::bits_of(value);
        if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fff;
        return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    }
    static u32 pack(float low, float high) { return narrow(low) | (u32)narrow(high) << 16; }
    static u32 pack_integers(u16 pair) { return pack((float)(i8)(pair & 0xff), (float)(i8)(pair >> 8)); }
    static u32 operand(u32 word) { return word; }
    static void multiply_add(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
        emulator::multiply_add<16, emulator::read_brain>("mma.bf16", c, a, b0, b1);
    }
};

struct Tensor32 {
    typedef float Stored;
    static float widen(float value) { return value; }
    static float narrow(float value) { return value; }
    static u32 operand(u32 word) { return word + 0x1000u; }
    static void multiply_add(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
        emulator::multiply_add<8, emulator::read_tensor32>("mma.tf32", c, a, b0, b1);
    }
};

}  // namespace kit

#endif
