// The C header of a program whose code was compiled ahead of time into an object: a struct for a call's tensors and sizes, and a function
// that makes the temporaries and calls the kernels. Whoever uses it needs the object, a C compiler and no library of ours.
#pragma once
#include "rondo/Program.h"
#include <string>

namespace rondo::driver {

struct CHeaderNames {
  std::string name;    // of the model in C: "gla", "gla_x86_64_v3"
  std::string comment; // what was compiled, for which processor, by what
};

std::string makeCHeader(const Program &program, const CHeaderNames &names);

} // namespace rondo::driver
