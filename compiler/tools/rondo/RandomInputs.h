// Random inputs drawn by a spec's declarations. What is drawn decides what verification can find, so the rules stand here:
//
//   declared interval   five regimes, one per batch entry and head in turn, because an error that shows only at an end of an interval
//                       (a gate of exactly 0 or 1) would drown in the norm if the end were mixed with ordinary values:
//                         mixed   finite: 10 % exactly at each closed end, the rest uniform; half-infinite: 10 % at the end, 20 % within
//                                 1e-3 of it, 60 % |N(0,1)| from it, 10 % about 30 from it
//                         low     75 % exactly at the low end where it is closed and finite, the rest within 1e-3 of it; an infinite
//                                 end: about 30 from the other
//                         high    likewise at the high end
//                         near    within 1e-3 of an end, never at it
//                         inner   finite: uniform; half-infinite: |N(0,1)| from the end
//   matrices            params with two feature axes or more: N(0, 1/fan-in), the last axis being the fan-in
//   recurrent params    square: scaled to a spectral radius of at most 0.9; other matrices: to a 2-norm of at most 0.9; vectors and
//                       scalars (the diagonal of a transition): uniform in (-0.9, 0.9)
//   all others          N(0, 1), complex numbers with variance 1 in both parts
//   resets              each with a probability of 1/8
//   offsets             lengths that add up to T; of four sequences or more one is empty
//   initial states      as the others; one whose default is not zero (-inf, a one-hot vector) means something by it and is left out
#pragma once
#include "compiler/tools/rondo/CallShape.h"
#include "rondo/Kernel.h"
#include "rondo/Program.h"
#include <cstdint>

namespace rondo::tool {

enum class Regime : uint8_t { Mixed, Low, High, Near, Inner };

/// Which initial states are drawn.
enum class Inits : uint8_t { Drawn, Default };

/// Inputs, params and inits of `program`, in its types. The same seed draws the same numbers for every type, up to rounding.
NamedBuffers drawInputs(const Program &program, const CallShape &shape, uint64_t seed, Inits inits);

/// The same values in the types of `program`, rounded to nearest; where rounding would leave a declared interval, the nearest value
/// inside. Tensors that the program does not know keep their type.
NamedBuffers convert(const NamedBuffers &tensors, const Program &program);

/// Multiplies every element by 1 + u e, e = -1 or +1, and keeps declared intervals. Elements of tensors with an interval move by at
/// least u: such values are combined with constants of order one (1 - a, exp(g)), whose rounding is an absolute error of u. Whole
/// numbers and elements exactly at an end stay: a number that is whole in f64 was not rounded, and a counter's f32 arithmetic is exact.
void perturb(NamedBuffers &tensors, const Program &program, double u, uint64_t seed);

/// Moves elements that lie exactly at an end of their interval inside, each by another small amount. Whatever lies there is f64 then.
void moveInside(NamedBuffers &tensors, const Program &program, uint64_t seed);

NamedTensors views(const NamedBuffers &buffers);
NamedBuffers copy(const NamedBuffers &buffers);

} // namespace rondo::tool
