// How far a correct kernel may be from the reference. A tolerance that was chosen to make tests pass shows nothing; this one is derived
// from the condition of the very computation that is checked, and stays tight enough to fail on a wrong rounding.
//
// Model. Every operation of the kernel is off by a factor 1 + d, |d| <= u, u = 2^-24 where the step computes in f32. The reference's own
// derivative says what such errors do: it is run in f64 on inputs, params and initial states whose elements are perturbed by +-u, and,
// where the model can be run step by step, on states perturbed by +-u between all steps, which stands for the rounding of each
// new state and lets errors grow and die over time as the recurrence lets them. What comes out, relative to the block's norm and to u,
// is the growth g of that block (the largest of a few draws of signs; at least 1, the rounding of the result itself). Whole
// numbers are not perturbed: they are exact in f32, and a model that counts would seem to be ill-conditioned. Models that can not be
// stepped (scans against time, two axes) get sqrt(T) in place of the perturbed states: T independent errors.
//
// Constant. Between two states an element passes through more than one rounding: a contraction over n elements and the elementwise rest.
// Rounding errors are taken as independent with mean zero, so that N of them make lambda sqrt(N) u with probability above
// 1 - 2 exp(-lambda^2 / 2) (Higham, Mary, 2019, SIAM J. Sci. Comput. 41-5, Theorem 2.4). lambda = 4 gives 0.9993; N = n + 64 with n the
// largest feature axis and 64 for sixteen elementwise functions of 4 ulp each. So
//
//     ||x - ref||_2 <= 4 sqrt(n + 64) g 2^-24 ||ref||_2     per batch entry and head
//     max |x - ref| <= 10 times that times the RMS of ref
//
// At n = 64 and g = 2 that is 5.4e-6; operands rounded to bf16 (2^-8) or tf32 (2^-11) are off by 700 and 90 times that.
// Where g makes the bound exceed 1e-2 the draw shows nothing; verification redraws it and says so. f64: 1e-12, or
// the bound with 2^-53 where that is more (a block of one number that is the rest of terms 10^4 times as large: g = 10^4, 4e-11).
// Perturbed states and inputs do not show terms that cancel for any of them (a - a * (1 + 1e-6 x): exact inputs, lost digits), nor that a number
// between two operations leaves the range of f32. Where a kernel exceeds the bound, g is found again with noise: every operation of the reference
// off by a factor 1 +- 2^-24, three times, and for all types but f64 infinite or 0 where f32 has no number. What then exceeds 1e-2 is redrawn; an error
// that noise does not make stays one.
// f16 and bf16 tensors: the inputs are rounded for both sides, the step computes in f32, and the results are rounded once more when
// they are stored, which Comparison.h takes off: the same bound.
//
// Matrix instructions. Where a kernel computes by chunks on these, operands of products are rounded once to 16 bits; sums, states that are
// carried and everything else are f32, to which the above applies. What the roundings do is not modelled but computed: the reference
// interprets the kernel's own chunks (the IR after the phase `form`, with the sizes of its plan) in f64, and rounds operands to nearest where
// the kernel does: rows and columns of products, scores and the states that are read, both decayed rows of a score where decays lie along
// the keys, scores and the decayed values where they lie along the values, the matrix and the solutions of a solve, and what one kernel hands
// to another in a tensor of 16-bit elements, operands of the next products for the most part (Reference/Sizes.h, Rounding). Its operations
// are off by 2^-24 besides: a kernel's form may subtract what its model never adds (the gradient of decays is a sum of differences), which
// the model's own growth does not show. With r its distance from the exact reference, per block, the largest of eight: on the inputs
// themselves, and on draws of inputs beside them, each moved by about one unit of bf16 (computed only where those before do not suffice). One
// draw says little about a block whose error is that of few numbers: of two errors with the same normal distribution the one exceeds twice
// the other in 30 % of all cases (two numbers: 20 %); it exceeds twice the largest of three in 7 % (3 %), and of eight in 0.9 % (0.2 %).
//
//     ||x - ref||_2 <= (4 sqrt(n + 64) g 2^-24 + 2 r / ||ref||_2) ||ref||_2
//
// and 10 times that for the largest element, as above, or 2 of the largest distance that the roundings make where that is more: a quotient
// whose divisor comes near 0 has few elements with most of the error.
// Operands of two terms have twice as many bits (chunk::hasTwoTerms).
// Cells that multiply their state by matrix instructions round the vector that a product takes, and nothing else (recur.rounded).
// The 2 is for what the two do differently: a factor per step may stand on either side of a product, and which of the two is
// rounded with it makes other roundings of the same size. r is 0 where nothing goes by chunks, and for f32 and f64. Blocks
// whose bound exceeds 4e-2 keep it and are counted as weak; a draw in which all are is redrawn.
#pragma once
#include "compiler/tools/rondo/Comparison.h"
#include "rondo/Kernel.h"
#include <vector>

namespace rondo::tool {

constexpr double toleranceF64 = 1e-12;
constexpr double toleranceF64Gradient = 1e-11; // gradients chain about three times as many operations, and cancel more
constexpr double largestTolerance = 1e-2;
constexpr uint64_t roundingDraws = 8;   // of which the roundings that do most count
constexpr double largestRounded = 4e-2; // with operands of 8 significant bits

/// Whether every floating-point tensor of the program is 64 bits wide, and with it the step.
bool computesInF64(const Program &program);

/// g for every tensor (in the program's order) and block.
struct Growth {
  std::vector<std::vector<double>> factors;
  bool stepped = false; // measured with perturbed states; else sqrt(T) is in the factors
};

struct GrowthOptions {
  CallShape shape;
  uint64_t seed = 0;
  int draws = 3;
  bool steps = true; // may run step by step
  int threads = 0;
  std::vector<Kernel> noisy = {}; // the reference with noise in its operations: its distance counts, too
};

/// Runs the f64 reference on perturbed inputs; `results` is what it gave on `inputs`.
Result<Growth> measureGrowth(const Kernel &reference, const NamedBuffers &inputs, const NamedBuffers &results,
                             const GrowthOptions &options);

/// Whether the model gives the same when it is run step by step with its states fed back.
Result<bool> runsByStep(const Kernel &reference, const NamedBuffers &inputs, const NamedBuffers &results,
                        const CallShape &shape, int threads);

/// Twice the distance of `rounded` from the reference: in norm, relative to the reference's, and of the largest element, to its RMS.
struct RoundingBound {
  double norm = 0, largest = 0;
};
/// For every tensor and block.
Result<std::vector<std::vector<RoundingBound>>> roundingsOf(const Kernel &rounded, const Kernel &reference,
                                                            const NamedBuffers &inputs, const NamedBuffers &results,
                                                            const CallShape &shape, int threads);

/// 4 sqrt(n + 64) g unit.
double boundOf(const Program &program, double growth, double unit);
/// The bound on ||x - ref||_2 / ||ref||_2.
double toleranceOf(const Program &program, double growth);

} // namespace rondo::tool
