// The functions that kernels apply to single numbers, and their numbers in parameters.
#ifndef ACTIVATIONS_CUH
#define ACTIVATIONS_CUH

enum Activation { IDENTITY = 0, GELU_ERF = 1, GELU_TANH = 2, SILU = 3, SIGMOID = 4, EXP = 5 };

KIT_FUNCTION float gelu_erf(float x) { return 0.5f * x * (1.f + erff(x * 0.70710678118654752f)); }

KIT_FUNCTION float gelu_tanh(float x) {
    return 0.5f * x * (1.f + tanhf(0.79788456080286536f * (x + 0.044715f * x * x * x)));
}

KIT_FUNCTION float sigmoid(float x) { return 1.f / (1.f + expf(-x)); }

KIT_FUNCTION float silu(float x) { return x / (1.f + expf(-x)); }

KIT_FUNCTION float activate(float x, int activation) {
    switch (activation) {
        case GELU_ERF: return gelu_erf(x);
        case GELU_TANH: return gelu_tanh(x);
        case SILU: return silu(x);
        case SIGMOID: return sigmoid(x);
        case EXP: return expf(x);
        default: return x;
    }
}

struct CosSin {
    float cosine, sine;
};

// The cosine and the sine of an angle of at most an eighth of a turn either way, and so many quarters of a
// turn (Cephes, `cosf` and `sinf`).
KIT_FUNCTION CosSin cos_sin_after(u32 quarters, float angle) {
    const float square = angle * angle;
    const float sine = ((-1.9515296e-4f * square + 8.332161e-3f) * square - 1.6666655e-1f) * square * angle + angle;
    const float cosine =
        ((2.4433157e-5f * square - 1.3887316e-3f) * square + 4.1666646e-2f) * square * square - 0.5f * square + 1.f;
    const bool swaps = quarters & 1;
    CosSin turned = {swaps ? sine : cosine, swaps ? cosine : sine};
    if (quarters == 1 || quarters == 2) turned.cosine = -turned.cosine;
    if (quarters == 2 || quarters == 3) turned.sine = -turned.sine;
    return turned;
}

#endif
