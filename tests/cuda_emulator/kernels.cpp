// One file of kernels as a part of the emulated driver. A namespace of its own keeps apart what two files
// give the same name.
#include "emulator.h"

namespace {
#include KIT_SOURCE
}
