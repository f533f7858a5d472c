// Verification must fail on a wrong kernel and pass a right one. The model is a scalar decay per channel, h = a h- + x, with the kernel's
// arithmetic written out in f32 so that mistakes can be put into it.
#include "compiler/tools/rondo/Trial.h"
#include "compiler/tools/rondo/Stepping.h"
#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <limits>

using namespace rondo;
using namespace rondo::tool;

namespace {

TensorSpec tensor(const char *name, TensorKind kind, DType type, bool time) {
  TensorSpec spec;
  spec.name = name;
  spec.kind = kind;
  spec.type = type;
  spec.axes.push_back({Axis::Batch, -1, "batch"});
  if (time)
    spec.axes.push_back({Axis::Time, -1, "time"});
  spec.axes.push_back({Axis::Named, 6, "K"});
  spec.lo = -std::numeric_limits<double>::infinity();
  spec.hi = std::numeric_limits<double>::infinity();
  return spec;
}

/// One step of one channel.
using Step = std::function<double(double a, double h, double x, int64_t batch)>;

Kernel kernelOf(DType type, const Step &step, bool backwards = false) {
  auto program = std::make_shared<Program>();
  program->model = "decay";
  program->tensors = {tensor("a", TensorKind::Input, type, true), tensor("x", TensorKind::Input, type, true),
                      tensor("h0", TensorKind::Init, type, false), tensor("h", TensorKind::Output, type, true),
                      tensor("h", TensorKind::Final, type, false)};
  program->tensors[0].hasInterval = true;
  program->tensors[0].lo = 0;
  program->tensors[0].hi = 1;
  program->alias.assign(5, -1);
  program->host = [step, backwards](const std::vector<Tensor> &t) -> Result<void> {
    const int64_t batch = t[0].shape[0], time = t[0].shape[1], width = t[0].shape[2];
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t k = 0; k < width; ++k) {
        double h = loadReal(t[2], b * width + k);
        for (int64_t s = 0; s < time; ++s) {
          const int64_t at = (b * time + (backwards ? time - 1 - s : s)) * width + k;
          h = step(loadReal(t[0], at), h, loadReal(t[1], at), b);
          storeElement(t[3], at, h);
        }
        storeElement(t[4], b * width + k, h);
      }
    return {};
  };
  return Kernel(program);
}

double exact(double a, double h, double x, int64_t) { return a * h + x; }
double single(double a, double h, double x, int64_t) { return float(float(a) * float(h)) + float(x); }

const TrialOptions options{{4, 31, 1, 1, 1}, 5, Inits::Drawn, 1};

Verdict verdictOf(const Kernel &kernel, int64_t piece = 0, bool backwards = false) {
  const Kernel reference = kernelOf(DType::F64, exact, backwards);
  Result<Trial> trial = drawTrial(reference, kernel, options);
  REQUIRE(trial);
  Result<NamedBuffers> results = runTrial(kernel, *trial, 1, piece);
  REQUIRE(results);
  return judge(kernel.program(), *results, trial->results, trial->tolerances);
}

} // namespace

TEST_CASE("right kernels pass in every type, whole and in pieces") {
  CHECK(verdictOf(kernelOf(DType::F64, exact)).passed());
  CHECK(verdictOf(kernelOf(DType::F32, single)).passed());
  CHECK(verdictOf(kernelOf(DType::BF16, single)).passed());
  CHECK(verdictOf(kernelOf(DType::F16, single)).passed());
  CHECK(verdictOf(kernelOf(DType::F32, single), 1).passed());
  CHECK(verdictOf(kernelOf(DType::F32, single), 7).passed());
}

TEST_CASE("the tolerance is within three orders of the unit roundoff, so that small mistakes fail") {
  const Verdict verdict = verdictOf(kernelOf(DType::F32, single));
  CHECK(verdict.tolerance < 6e-5);
  CHECK(verdict.tolerance > 1e-6);
}

TEST_CASE("wrong kernels fail") {
  SECTION("f64 computed in f32") { CHECK(!verdictOf(kernelOf(DType::F64, single)).passed()); }
  SECTION("the state kept in bf16") {
    Buffer cell(DType::BF16, {1});
    const auto rounding = [&](double a, double h, double x, int64_t) {
      storeElement(cell.view(), 0, a * h + x);
      return loadReal(cell.view(), 0);
    };
    CHECK(!verdictOf(kernelOf(DType::F32, rounding)).passed());
    CHECK(!verdictOf(kernelOf(DType::BF16, rounding)).passed());
  }
  SECTION("wrong by 1e-4 in one batch entry") {
    const auto off = [](double a, double h, double x, int64_t b) { return a * h + x * (b == 2 ? 1.0001 : 1); };
    const Verdict verdict = verdictOf(kernelOf(DType::F32, off));
    CHECK(!verdict.passed());
    CHECK(verdict.batch == 2);
  }
  SECTION("wrong only where the gate is exactly 1") {
    const auto off = [](double a, double h, double x, int64_t) { return (a == 1 ? 0.9999 : a) * h + x; };
    CHECK(!verdictOf(kernelOf(DType::F32, off)).passed());
  }
  SECTION("not a number") {
    const auto nan = [](double a, double h, double x, int64_t) { return a == 0 ? NAN : a * h + x; };
    CHECK(!verdictOf(kernelOf(DType::F32, nan)).passed());
  }
}

TEST_CASE("f64: what a rounding does is allowed where it does more than the fixed tolerance, and no more than that") {
  // A rounding of 1e5 x moves the sine by 1e-11.
  const auto reference = [](double a, double, double x, int64_t) { return a + std::sin(1e5 * x); };
  const auto otherOrder = [](double a, double, double x, int64_t) { return a + std::sin(1e3 * (1e2 * x)); };
  const auto wrong = [](double a, double, double x, int64_t) { return a + std::sin(1e5 * x) + 1e-7; };
  const Kernel oracle = kernelOf(DType::F64, reference);
  const auto verdict = [&](const Kernel &kernel) {
    Result<Trial> trial = drawTrial(oracle, kernel, options);
    REQUIRE(trial);
    Result<Verdict> found = verdictOn(kernel, oracle, *trial, 1, 0);
    REQUIRE(found);
    return *found;
  };
  CHECK(verdict(oracle).tolerance == toleranceF64);
  const Verdict other = verdict(kernelOf(DType::F64, otherOrder));
  CHECK(other.error > toleranceF64);
  CHECK(other.passed());
  CHECK(other.tolerance < 1e-9);
  CHECK_FALSE(verdict(kernelOf(DType::F64, wrong)).passed());
}

TEST_CASE("what noise in the reference's operations explains is redrawn, and nothing else is") {
  // A difference of two numbers that are alike: the inputs' roundings move it little, those in between by its 1e7-fold.
  constexpr double offset = 1e4;
  const auto reference = [](double a, double, double x, int64_t) { return 1e-3 * x + a; };
  const auto lost = [](double a, double, double x, int64_t) { return float(float(1e-3 * x + offset) - offset) + a; };
  const Kernel oracle = kernelOf(DType::F64, reference), kernel = kernelOf(DType::F32, lost);
  int asked = 0;
  const auto noisy = [&](double size) {
    return [&asked, size]() -> Result<std::vector<Kernel>> {
      ++asked;
      return std::vector<Kernel>{
          kernelOf(DType::F64, [size](double a, double, double x, int64_t) { return 1e-3 * x + a + size; })};
    };
  };
  const Result<Judgement> withoutNoise = judgeKernel(kernel, oracle, options, true, noisy(0));
  REQUIRE(withoutNoise);
  CHECK_FALSE(withoutNoise->passed());
  CHECK(asked == 1);
  // Some blocks of the result are nearly 0, where such noise is too much to judge by.
  const Result<Judgement> all = judgeKernel(kernel, oracle, options, true, noisy(0.1));
  REQUIRE(!all);
  CHECK(all.error().message().find("40 ill-conditioned") != std::string::npos);
  // Noise that explains the error, and is little beside the result.
  const Result<Judgement> some = judgeKernel(kernel, oracle, options, true, noisy(1e-3 * 0x1p-4));
  REQUIRE(some);
  CHECK(some->passed());
  CHECK(some->whole.tolerance > 1e-4);
  // Who passes is not asked for noise.
  asked = 0;
  const Result<Judgement> right = judgeKernel(kernelOf(DType::F32, reference), oracle, options, true, noisy(0.1));
  REQUIRE(right);
  CHECK(right->passed());
  CHECK(right->stepped.has_value());
  CHECK(asked == 0);
}

TEST_CASE("scans against time are recognised as such, and still judged") {
  const Kernel reference = kernelOf(DType::F64, exact, true), kernel = kernelOf(DType::F32, single, true);
  Result<Trial> trial = drawTrial(reference, kernel, options);
  REQUIRE(trial);
  CHECK(!trial->byStep);
  CHECK(verdictOf(kernel, 0, true).passed());
}

TEST_CASE("a recurrence that explodes is redrawn, counted, and given up on with a reason") {
  const auto explode = [](double a, double h, double x, int64_t) { return 1e3 * (h + a) + x; };
  Result<Trial> trial = drawTrial(kernelOf(DType::F64, explode), kernelOf(DType::F32, explode), options);
  REQUIRE(!trial);
  CHECK(trial.error().message().find("40 left 1e±30") != std::string::npos);
}

TEST_CASE("blocks are batch entries and heads, also where the head axis is absent") {
  TensorSpec spec = tensor("o", TensorKind::Output, DType::F32, true);
  spec.axes.insert(spec.axes.begin() + 2, {Axis::Head, -1, "head"});
  const Blocks with = blocksOf(spec, {2, 5, 3, 6});
  CHECK(with.count() == 6);
  CHECK(with.of(0) == 0);
  CHECK(with.of(6) == 1); // the next head
  CHECK(with.of(2 * 5 * 3 * 6 - 1) == 5);
  CHECK(blocksOf(spec, {2, 5, 6}).count() == 2);
}
