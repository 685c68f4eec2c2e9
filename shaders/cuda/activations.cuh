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

#endif
