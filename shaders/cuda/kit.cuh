// Every instruction that C++ has no word for, in one place: asynchronous copies, matrix loads, matrix
// products, conversions, shuffles. Needs no CUDA header. Compiled on the CPU, the emulator's header takes its
// place by defining KIT_CUH first; it offers the same names.
#ifndef KIT_CUH
#define KIT_CUH

typedef signed char i8;
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef long long i64;
typedef unsigned long long u64;

#define KIT_ARCH __CUDA_ARCH__
#define KIT_FUNCTION __device__ __forceinline__

// A kernel: its name, its one parameter `p`, the threads of a block, the blocks that should fit a
// multiprocessor, and the most registers a thread may take on any target (checked by build.py).
#define KIT_KERNEL(name, Params, threads, blocks, registers) \
    extern "C" __global__ void __launch_bounds__(threads, blocks) name(const Params p)

// The block's shared memory: at most 48 KiB, so that no launch has to ask for more.
#define KIT_SHARED(name, bytes) __shared__ __align__(16) unsigned char name[bytes]

namespace kit {

KIT_FUNCTION u32 shared_address(const void* pointer) { return (u32)__cvta_generic_to_shared(pointer); }

// Copies the first `bytes` (0 to 16) of 16 and fills the rest with zeros. Both addresses are multiples of
// 16; nothing is read from `global` when `bytes` is 0. Done only after `wait_for_copies` and a barrier.
KIT_FUNCTION void copy_async_16(void* shared, const void* global, int bytes) {
#if KIT_ARCH >= 800
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global),
                 "r"(bytes)
                 : "memory");
#else
    uint4 value = make_uint4(0, 0, 0, 0);
    if (bytes == 16) {
        value = *(const uint4*)global;
    } else {
        // A row's last elements: bytes are put into their words one after another.
        u32 words[4] = {0, 0, 0, 0};
#pragma unroll
        for (int i = 0; i < 16; i++)
            if (i < bytes) words[i >> 2] |= (u32)((const u8*)global)[i] << ((i & 3) * 8);
        value = make_uint4(words[0], words[1], words[2], words[3]);
    }
    *(uint4*)shared = value;
#endif
}

// Closes the group of the copies that this thread has begun since the last call.
KIT_FUNCTION void commit_copies() {
#if KIT_ARCH >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until at most the `Groups` newest groups of this thread are still under way.
template <int Groups>
KIT_FUNCTION void wait_for_copies() {
#if KIT_ARCH >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(Groups) : "memory");
#endif
}

// Four 8 × 8 matrices of 16-bit numbers from shared memory; lane 8·i + r gives the address of row r of
// matrix i. A lane receives numbers 2·(lane % 4) and the next one of row lane / 4 of each matrix.
KIT_FUNCTION void load_matrices(u32 (&to)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(shared_address(row))
                 : "memory");
}

// The same with each matrix transposed.
KIT_FUNCTION void load_matrices_transposed(u32 (&to)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(shared_address(row))
                 : "memory");
}

// The value of the lane whose number differs in the bits of `mask`. Every lane of the warp takes part.
KIT_FUNCTION float shuffle_xor(float value, int mask) { return __shfl_xor_sync(0xffffffffu, value, mask); }

KIT_FUNCTION u32 shuffle_xor_bits(u32 value, int mask) { return __shfl_xor_sync(0xffffffffu, value, mask); }

// What lanes of a warp wrote to shared memory before it, all its lanes read after it.
KIT_FUNCTION void sync_warp() { __syncwarp(); }

// Bits of a float, and back.
KIT_FUNCTION u32 float_bits(float value) { return __float_as_uint(value); }
KIT_FUNCTION float bits_float(u32 bits) { return __uint_as_float(bits); }

KIT_FUNCTION int count_bits(u32 word) { return __popc(word); }

KIT_FUNCTION float infinity() { return bits_float(0x7f800000u); }

// 32-bit numbers.
struct Float {
    typedef float Stored;
    static KIT_FUNCTION float widen(float value) { return value; }
    static KIT_FUNCTION float narrow(float value) { return value; }
};

// IEEE binary16, kept in 16-bit words.
struct Half {
    typedef u16 Stored;
    static KIT_FUNCTION float widen(u16 value) {
        float wide;
        asm("cvt.f32.f16 %0, %1;" : "=f"(wide) : "h"(value));
        return wide;
    }
    static KIT_FUNCTION u16 narrow(float value) {
        u16 narrow;
        asm("cvt.rn.f16.f32 %0, %1;" : "=h"(narrow) : "f"(value));
        return narrow;
    }
    // Two numbers in one word, the first in its lower half.
    static KIT_FUNCTION u32 pack(float low, float high) {
#if KIT_ARCH >= 800
        u32 both;
        asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
        return both;
#else
        return (u32)narrow(low) | (u32)narrow(high) << 16;
#endif
    }
    // Two 8-bit integers as two numbers, exactly: 1024 + 128 + value is a pattern of bits, then less 1152.
    static KIT_FUNCTION u32 pack_integers(u16 pair) {
        u32 biased = (u32)pair ^ 0x8080u, both;
        u32 halves = __byte_perm(biased, 0x64646464u, 0x4140);
        asm("sub.rn.f16x2 %0, %1, %2;" : "=r"(both) : "r"(halves), "r"(0x64806480u));
        return both;
    }
    static KIT_FUNCTION u32 operand(u32 word) { return word; }
    // c (16 × 8) += a (16 × 16) · b (16 × 8), spread over the warp as PTX's m16n8k16 describes.
    static KIT_FUNCTION void multiply_add(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
#if KIT_ARCH >= 800
        asm volatile(
            "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
        asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3},{%4,%5},{%6},{%0,%1,%2,%3};"
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                     : "r"(a[0]), "r"(a[1]), "r"(b0));
        asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3},{%4,%5},{%6},{%0,%1,%2,%3};"
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                     : "r"(a[2]), "r"(a[3]), "r"(b1));
#endif
    }
};

// bfloat16, kept in 16-bit words. Turing converts it and has no matrix product for it.
struct Brain {
    typedef u16 Stored;
    static KIT_FUNCTION float widen(u16 value) { return bits_float((u32)value << 16); }
    static KIT_FUNCTION u16 narrow(float value) {
#if KIT_ARCH >= 800
        u16 narrow;
        asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(narrow) : "f"(value));
        return narrow;
#else
        u32 bits = float_bits(value);
        if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
        return (u16)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
#endif
    }
    static KIT_FUNCTION u32 pack(float low, float high) {
#if KIT_ARCH >= 800
        u32 both;
        asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
        return both;
#else
        return (u32)narrow(low) | (u32)narrow(high) << 16;
#endif
    }
#if KIT_ARCH >= 800
    // Two 8-bit integers as two numbers, exactly: 2²³ + 128 + value is a pattern of bits, then less 2²³ + 128.
    static KIT_FUNCTION u32 pack_integers(u16 pair) {
        u32 biased = (u32)pair ^ 0x8080u;
        float low = bits_float(__byte_perm(biased, 0x4b000000u, 0x7650)) - 8388736.f;
        float high = bits_float(__byte_perm(biased, 0x4b000000u, 0x7651)) - 8388736.f;
        return pack(low, high);
    }
    static KIT_FUNCTION u32 operand(u32 word) { return word; }
    static KIT_FUNCTION void multiply_add(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
        asm volatile(
            "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    }
#endif
};

#if KIT_ARCH >= 800
// 32-bit numbers of which the matrix product reads 19 bits.
struct Tensor32 {
    typedef float Stored;
    static KIT_FUNCTION float widen(float value) { return value; }
    static KIT_FUNCTION float narrow(float value) { return value; }
    // Rounds to nearest; without it the product would cut off.
    static KIT_FUNCTION u32 operand(u32 word) {
        u32 rounded;
        asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "r"(word));
        return rounded;
    }
    // c (16 × 8) += a (16 × 8) · b (8 × 8), spread over the warp as PTX's m16n8k8 describes.
    static KIT_FUNCTION void multiply_add(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
        asm volatile(
            "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    }
};
#endif

}  // namespace kit

#endif
