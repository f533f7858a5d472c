// The elementwise functions of recur.map on numbers, real and complex.
#pragma once
#include "compiler/Reference/Array.h"
#include "dialects/Recur/Recur.h"

namespace rondo::reference {

/// Unary functions ignore the second argument; comparisons give 0 or 1.
using RealFunction = double (*)(double, double);
using ComplexFunction = Complex (*)(Complex, Complex);

/// Null where the function takes no such values. `select` is neither: it takes three.
RealFunction realFunction(recur::Fn fn);
ComplexFunction complexFunction(recur::Fn fn);

} // namespace rondo::reference
