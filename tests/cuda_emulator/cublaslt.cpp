// A stand-in for NVIDIA's cuBLASLt beside the emulated driver: the functions that this program calls, over
// host memory. It is stricter than the library: what is not described exactly as `cublasLt.h` has it, an
// address outside of the driver's allocations, one that is less aligned than was said, a context that is not
// current and a stream that is none are errors.
//
// Settings come from the driver's, see there:
//
//   ORFEAS_CUDA_BLAS_VERSION    120405  what cublasLtGetVersion says
//   ORFEAS_CUDA_BLAS_CUDART     12040   the CUDA that it was made for
//   ORFEAS_CUDA_BLAS_REFUSE     0       whether no handle is made, as where the driver is too old
//   ORFEAS_CUDA_BLAS_WRONG      0       whether every product is wrong
//   ORFEAS_CUDA_BLAS_EVEN_ONLY  0       whether there are algorithms only for weights whose sizes are multiples of 8
//   ORFEAS_CUDA_BLAS_FAIL       -1      the product that fails, counted from 0 since the handle was made
//   ORFEAS_CUDA_BLAS_LOSE       -1      the product that meets an illegal address, likewise
//
// ORFEAS_CUDA_BLAS_PRODUCTS names a file that gets a line for each product. Compiled with WITHOUT_PROPOSALS
// it lacks a function.
#include <mutex>
#include <set>

#include "emulator.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

// Of the emulated driver.
extern "C" int cuCtxGetCurrent(void** context);
extern "C" int cuStreamSynchronize(void* stream);
extern "C" int emulated_memory(u64 address, size_t bytes);
extern "C" void emulated_fault();
extern "C" i64 emulated_setting(const char* name, i64 otherwise);

typedef int Status;
enum : Status {
    SUCCESS = 0,
    NOT_INITIALIZED = 1,
    INVALID_VALUE = 7,
    EXECUTION_FAILED = 13,
    INTERNAL_ERROR = 14,
    NOT_SUPPORTED = 15,
};

namespace {

enum Type { R_32F = 0, R_16F = 2, R_16BF = 14 };
const int COMPUTE_32F = 68, TRANSPOSED = 1, EPILOGUE_DEFAULT = 1, EPILOGUE_BIAS = 4;

struct Handle {
    i64 products;
};
struct Operation {
    int turn_a, epilogue;
    u64 bias;
};
struct Layout {
    int type;
    u64 rows, columns;
    i64 leading;
    bool operator==(const Layout& other) const {
        return type == other.type && rows == other.rows && columns == other.columns && leading == other.leading;
    }
};
struct Preference {
    u64 workspace;
    unsigned reductions, alignments[4];
};
// What an algorithm is for; it is good for nothing else.
struct Algorithm {
    u64 mark, rows, columns, depth;
    unsigned type, epilogue, alignments[4];
    u64 unused[1];
};
static_assert(sizeof(Algorithm) == 64, "as in cublasLt.h");
const u64 MARK = 0x616c676f72697468;

struct Proposal {
    Algorithm algorithm;
    size_t workspace;
    Status status;
    float waves;
    int reserved[4];
};
static_assert(sizeof(Proposal) == 96, "as in cublasLt.h");

// What was made and not given back, by kind.
template <class Kind>
std::set<void*>& all() {
    static std::set<void*> made;
    return made;
}
std::mutex mutex;

template <class Kind>
Status make(void** handle, Kind value) {
    if (!handle) return INVALID_VALUE;
    std::lock_guard<std::mutex> lock(mutex);
    *handle = new Kind(value);
    all<Kind>().insert(*handle);
    return SUCCESS;
}
template <class Kind>
Status give_back(void* handle) {
    std::lock_guard<std::mutex> lock(mutex);
    if (!all<Kind>().erase(handle)) return INVALID_VALUE;
    delete (Kind*)handle;
    return SUCCESS;
}
template <class Kind>
Kind* known(void* handle) {
    std::lock_guard<std::mutex> lock(mutex);
    return all<Kind>().count(handle) ? (Kind*)handle : nullptr;
}

bool is_all_given_back() {
    std::lock_guard<std::mutex> lock(mutex);
    return all<Handle>().empty() && all<Operation>().empty() && all<Layout>().empty() && all<Preference>().empty();
}

bool is_in_context() {
    void* current = nullptr;
    return cuCtxGetCurrent(&current) == 0 && current;
}

size_t bytes_of(int type) { return type == R_32F ? 4 : 2; }

float widened(int type, u64 address, u64 place) {
    if (type == R_32F) return ((const float*)address)[place];
    u16 number = ((const u16*)address)[place];
    return type == R_16F ? kit::Half::widen(number) : kit::Brain::widen(number);
}

void store(int type, u64 address, u64 place, float value) {
    if (type == R_32F)
        ((float*)address)[place] = value;
    else
        ((u16*)address)[place] = type == R_16F ? kit::Half::narrow(value) : kit::Brain::narrow(value);
}

std::vector<float> widened(const Layout& layout, u64 address) {
    std::vector<float> wide(layout.rows * layout.columns);
    for (u64 i = 0; i < wide.size(); i++) wide[i] = widened(layout.type, address, i);
    return wide;
}

bool holds(const Layout& layout, u64 address) {
    return address && emulated_memory(address, layout.rows * layout.columns * bytes_of(layout.type));
}

// Whether the matrices go together: D = Aᵀ · B, without gaps.
bool fit(const Operation& operation, const Layout& a, const Layout& b, const Layout& c, const Layout& d) {
    bool dense = a.leading == (i64)a.rows && b.leading == (i64)b.rows && d.leading == (i64)d.rows;
    return operation.turn_a == TRANSPOSED && dense && c == d && a.type == b.type && a.type == d.type &&
           a.rows == b.rows && a.columns == d.rows && b.columns == d.columns;
}

void note(const Algorithm& algorithm, float beta) {
    const char* path = getenv("ORFEAS_CUDA_BLAS_PRODUCTS");
    FILE* file = path ? fopen(path, "a") : nullptr;
    if (!file) return;
    fprintf(file, "%u %llu %llu %llu %u %g\n", algorithm.type, algorithm.columns, algorithm.rows, algorithm.depth,
            algorithm.epilogue, beta);
    fclose(file);
}

}  // namespace

EXPORT size_t cublasLtGetVersion() { return emulated_setting("ORFEAS_CUDA_BLAS_VERSION", 120405); }
EXPORT size_t cublasLtGetCudartVersion() { return emulated_setting("ORFEAS_CUDA_BLAS_CUDART", 12040); }

EXPORT Status cublasLtCreate(void** handle) {
    if (!is_in_context() || emulated_setting("ORFEAS_CUDA_BLAS_REFUSE", 0)) return NOT_INITIALIZED;
    // Whoever had one before gave everything back.
    if (!is_all_given_back()) return INTERNAL_ERROR;
    return make(handle, Handle{0});
}
EXPORT Status cublasLtDestroy(void* handle) {
    if (!is_in_context()) return NOT_INITIALIZED;
    return give_back<Handle>(handle);
}

EXPORT Status cublasLtMatmulDescCreate(void** handle, int compute, int scale) {
    if (compute != COMPUTE_32F || scale != R_32F) return INVALID_VALUE;
    return make(handle, Operation{0, EPILOGUE_DEFAULT, 0});
}
EXPORT Status cublasLtMatmulDescDestroy(void* handle) { return give_back<Operation>(handle); }
EXPORT Status cublasLtMatmulDescSetAttribute(void* handle, int attribute, const void* value, size_t bytes) {
    Operation* operation = known<Operation>(handle);
    if (!operation || !value) return INVALID_VALUE;
    int number = 0;
    if (bytes == 4) memcpy(&number, value, 4);
    if (attribute == 3 && bytes == 4 && number == TRANSPOSED) return operation->turn_a = number, SUCCESS;
    if (attribute == 7 && bytes == 4 && number == EPILOGUE_BIAS) return operation->epilogue = number, SUCCESS;
    if (attribute == 8 && bytes == 8) return memcpy(&operation->bias, value, 8), SUCCESS;
    return INVALID_VALUE;
}

EXPORT Status cublasLtMatrixLayoutCreate(void** handle, int type, u64 rows, u64 columns, i64 leading) {
    bool is_known = type == R_32F || type == R_16F || type == R_16BF;
    if (!is_known || !rows || !columns || leading < (i64)rows) return INVALID_VALUE;
    return make(handle, Layout{type, rows, columns, leading});
}
EXPORT Status cublasLtMatrixLayoutDestroy(void* handle) { return give_back<Layout>(handle); }

EXPORT Status cublasLtMatmulPreferenceCreate(void** handle) { return make(handle, Preference{1, 7, {256, 256, 256, 256}}); }
EXPORT Status cublasLtMatmulPreferenceDestroy(void* handle) { return give_back<Preference>(handle); }
EXPORT Status cublasLtMatmulPreferenceSetAttribute(void* handle, int attribute, const void* value, size_t bytes) {
    Preference* preference = known<Preference>(handle);
    if (!preference || !value) return INVALID_VALUE;
    unsigned number = 0;
    if (bytes == 4) memcpy(&number, value, 4);
    if (attribute == 1 && bytes == 8) return memcpy(&preference->workspace, value, 8), SUCCESS;
    if (attribute == 3 && bytes == 4 && number <= 7) return preference->reductions = number, SUCCESS;
    bool is_power = number && !(number & (number - 1)) && number <= 256;
    if (attribute < 5 || attribute > 8 || bytes != 4 || !is_power) return INVALID_VALUE;
    return preference->alignments[attribute - 5] = number, SUCCESS;
}

#ifndef WITHOUT_PROPOSALS
EXPORT Status cublasLtMatmulAlgoGetHeuristic(void* handle, void* operation_handle, void* a_handle, void* b_handle,
                                             void* c_handle, void* d_handle, void* preference_handle, int wanted,
                                             Proposal* proposals, int* count) {
    Operation* operation = known<Operation>(operation_handle);
    Layout *a = known<Layout>(a_handle), *b = known<Layout>(b_handle), *c = known<Layout>(c_handle),
           *d = known<Layout>(d_handle);
    Preference* preference = known<Preference>(preference_handle);
    if (!known<Handle>(handle) || !operation || !a || !b || !c || !d || !preference) return INVALID_VALUE;
    if (wanted < 1 || !proposals || !count) return INVALID_VALUE;
    // No room to work in, and no parts of sums in the result's format.
    if (preference->workspace || preference->reductions & 4) return INVALID_VALUE;
    *count = 0;
    bool is_even = !(a->rows % 8 || a->columns % 8);
    if (!fit(*operation, *a, *b, *c, *d)) return NOT_SUPPORTED;
    if (!is_even && emulated_setting("ORFEAS_CUDA_BLAS_EVEN_ONLY", 0)) return NOT_SUPPORTED;
    // What is not set is not read.
    memset(proposals, 0xee, sizeof *proposals);
    Algorithm& algorithm = proposals->algorithm;
    algorithm = {MARK, d->rows, d->columns, a->rows, (unsigned)a->type, (unsigned)operation->epilogue, {}, {}};
    memcpy(algorithm.alignments, preference->alignments, sizeof algorithm.alignments);
    proposals->workspace = 0;
    proposals->status = SUCCESS;
    return *count = 1, SUCCESS;
}
#endif

EXPORT Status cublasLtMatmul(void* handle_of, void* operation_handle, const float* alpha, u64 a_at, void* a_handle,
                             u64 b_at, void* b_handle, const float* beta, u64 c_at, void* c_handle, u64 d_at,
                             void* d_handle, const Algorithm* algorithm, void* workspace, size_t workspace_bytes,
                             void* stream) {
    Handle* handle = known<Handle>(handle_of);
    Operation* operation = known<Operation>(operation_handle);
    Layout *a = known<Layout>(a_handle), *b = known<Layout>(b_handle), *c = known<Layout>(c_handle),
           *d = known<Layout>(d_handle);
    if (!handle || !operation || !alpha || !beta || !a || !b || !c || !d || !algorithm) return INVALID_VALUE;
    if (!is_in_context()) return NOT_INITIALIZED;
    // Also a device that is lost.
    if (cuStreamSynchronize(stream)) return EXECUTION_FAILED;
    if (workspace || workspace_bytes || algorithm->mark != MARK) return INVALID_VALUE;
    bool is_for_this = algorithm->rows == d->rows && algorithm->columns == d->columns &&
                       algorithm->depth == a->rows && algorithm->type == (unsigned)a->type &&
                       algorithm->epilogue == (unsigned)operation->epilogue;
    if (!is_for_this || !fit(*operation, *a, *b, *c, *d) || c_at != d_at) return INVALID_VALUE;
    const u64 places[4] = {a_at, b_at, c_at, d_at};
    for (int i = 0; i < 4; i++)
        if (places[i] % algorithm->alignments[i]) return INVALID_VALUE;
    if (!holds(*a, a_at) || !holds(*b, b_at) || !holds(*d, d_at)) return EXECUTION_FAILED;
    bool is_biased = operation->epilogue == EPILOGUE_BIAS;
    if (is_biased && (operation->bias % 16 || !holds({d->type, d->rows, 1, 0}, operation->bias)))
        return EXECUTION_FAILED;
    i64 number = handle->products++;
    if (number == emulated_setting("ORFEAS_CUDA_BLAS_FAIL", -1)) return EXECUTION_FAILED;
    if (number == emulated_setting("ORFEAS_CUDA_BLAS_LOSE", -1)) return emulated_fault(), EXECUTION_FAILED;
    note(*algorithm, *beta);
    const bool is_wrong = emulated_setting("ORFEAS_CUDA_BLAS_WRONG", 0);
    std::vector<float> weights = widened(*a, a_at), inputs = widened(*b, b_at);
    for (u64 column = 0; column < d->columns; column++)
        for (u64 row = 0; row < d->rows; row++) {
            const float *x = &weights[row * a->rows], *y = &inputs[column * a->rows];
            double sums[4] = {0, 0, 0, 0};
            for (u64 i = 0; i < a->rows; i++) sums[i % 4] += (double)x[i] * y[i];
            u64 place = column * d->rows + row;
            float value = *alpha * (float)(sums[0] + sums[1] + sums[2] + sums[3]);
            // With a factor of 0 what is there is not read: it may be no number.
            if (*beta != 0) value += *beta * widened(d->type, d_at, place);
            if (is_biased) value += widened(d->type, operation->bias, row);
            if (is_wrong) value = -value;
            store(d->type, d_at, place, value);
        }
    return SUCCESS;
}
