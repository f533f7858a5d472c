// What `rondo verify --help` says behind the options.
#pragma once

namespace rondo::tool {

inline constexpr const char *verifyHelp =
    R"(Every model of every spec is run on inputs drawn by its declarations, at T=1, T=17 and T=67, in f64, f32, bf16 and f16, and where
its states can be fed back also one step at a time ("decode"); in f64 and f32 also by chunks of several sizes, where a scan has that
form ("chunk16"); models over one axis also in f32 with resets, more rows than share a
tile, and with packed sequences that have resets inside ("resets", "packed"). For every batch entry and head of every result

  ||x - ref||_2 / ||ref||_2  <=  tolerance      max |x - ref|  <=  10 tolerance rms(ref)

The tolerance is 4 sqrt(n + 64) g 2^-24 in f32, and with 2^-53 in f64, or 1e-12 where that is more: g is how much the reference, run in f64,
amplifies perturbations of +-2^-24 of its inputs, params and (where it can run by steps) of its states at every step; sqrt(n + 64) is the
growth of independent roundings over the longest contraction n and the elementwise rest of a step, 4 the multiple of it that they exceed
with probability below 1e-3. With f16 and bf16, inputs are rounded before both see them, the step is f32, and the one rounding of stored results is
taken off before the same bound applies. A draw whose results leave 1e+-30, or whose tolerance would exceed 1e-2, is redrawn and
counted. Where a kernel fails, g is also what noise of 2^-24 in every operation of the reference does, with f32's range for all but f64.

With --target cuda, models with kernels on matrix instructions are also run on those, in bf16 and f16 ("chunk", and "auto" on a sequence
that is cut into segments): T=1, a chunk that is not full, chunks and a rest. What rounding their operands to 16 bits does is computed by
running the reference with these very roundings; twice its distance is added to the tolerance (ErrorBound.h).

Elementwise recurrences that it cuts into segments are run so, at T=1, T=1301 and T=4999 ("scan").

With --grad the gradient is verified: the reference's own against fourth-order differences of the model's results, along random
directions, one tensor after another, to 1e-6 of the gradient's norm; kernels against the reference, to 1e-11 in f64, in f32 as above, where g is
also what noise of 2^-24 in every operation of the reference does. Blocks for which that exceeds 1e-2 are counted. Chunks are verified in
bf16, too. With --jvp it is derivatives along a direction: against differences, and <J v, w> against <v, Jᵀ w> with the gradient.

With --long there are 4096 steps and five batch entries: inputs of declared intervals keep to one end in one of them, to the other in
another, near an end, inside, and mixed; and bf16 in all forms.

Examples:
  rondo verify gla deltanet
  rondo verify gla --grad
  rondo verify gla --grad --long
  rondo verify gla --jvp
  rondo verify $(rondo list --paths)
  rondo verify gla --dtype bf16,g=f32 --dim K=64 V=48 --random 7,B=2,T=129,H=3)";

} // namespace rondo::tool
