// How far expand-math's functions are from the truth, in units in the last place, over the whole range of f32 and on boundaries
// and random numbers of f64; and their special values. Each function is compiled as a spec of one equation, whole way, so what
// is measured is what models run. `rondo-test-compiler "[ulp-table]"` prints the table of compiler/Transforms/README.md.
#include "compiler/Driver/Compiler.h"
#include "rondo/Kernel.h"
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <functional>
#include <random>

using namespace rondo;

namespace {

template <typename T> struct Format;
template <> struct Format<float> {
  using Bits = uint32_t;
  using Wide = double; // the reference; its own error is far below one unit of float
  static constexpr DType type = DType::F32;
  static constexpr int mantissa = 23, lowest = -126, highest = 127;
};
template <> struct Format<double> {
  using Bits = uint64_t;
  using Wide = long double; // x87: 64 bits, so that the reference adds at most 2^-11 units
  static constexpr DType type = DType::F64;
  static constexpr int mantissa = 52, lowest = -1022, highest = 1023;
};

struct Function {
  const char *name, *equation;
  long double (*wide)(long double);
  double (*exact)(double);
  double bound32, bound64;   // largest error, units in the last place
  double lowest32, lowest64; // below: no bound is promised
};

// The bounds are the measured errors, rounded up to the next twentieth. sigmoid is the library's 1 / (1 + exp(-x)): where exp(-x)
// overflows it is zero, though the logistic function is a subnormal number there.
const Function kFunctions[] = {
    {"exp", "exp(x[t])", std::exp, std::exp, 1.05, 1.0, -INFINITY, -INFINITY},
    {"expm1", "expm1(x[t])", std::expm1, std::expm1, 1.1, 1.15, -INFINITY, -INFINITY},
    {"log", "log(x[t])", std::log, std::log, 0.8, 0.8, -INFINITY, -INFINITY},
    {"log1p", "log1p(x[t])", std::log1p, std::log1p, 0.85, 0.85, -INFINITY, -INFINITY},
    {"tanh", "tanh(x[t])", std::tanh, std::tanh, 2.45, 2.25, -INFINITY, -INFINITY},
    {"sigmoid", "sigmoid(x[t])", [](long double x) { return 1 / (1 + std::exp(-x)); },
     [](double x) { return 1 / (1 + std::exp(-x)); }, 2.35, 2.5, -88.7, -709.7},
};

/// y[t] = f(x[t]) on arrays of N elements: N = 1 takes the scalar code, a large N the vector code.
template <typename T> class Compiled {
public:
  Compiled(const Function &function, int64_t width) : width(width) {
    static driver::Compiler compiler;
    driver::Options options;
    options.dims["N"] = width;
    options.type = Format<T>::type;
    std::string text = std::string("model f<N> {\n input x: [N]\n y[t] = ") + function.equation + "\n output y\n}\n";
    auto program = compiler.compile({"f.rondo", text}, options);
    REQUIRE(program);
    kernel = Kernel(*program.value);
  }
  /// `x` is filled up to whole steps.
  std::vector<T> operator()(std::vector<T> x) const {
    size_t count = x.size();
    x.resize((count + width - 1) / width * width);
    std::vector<T> y(x.size());
    std::vector<int64_t> shape{1, static_cast<int64_t>(x.size()) / width, width};
    auto done = kernel.run(NamedTensors{{"x", Tensor{x.data(), Format<T>::type, shape, {}}}},
                           NamedTensors{{"y", Tensor{y.data(), Format<T>::type, shape, {}}}});
    REQUIRE(done);
    y.resize(count);
    return y;
  }

private:
  int64_t width;
  Kernel kernel;
};

/// |computed - exact| in units in the last place of `exact`. The number after the largest stands for infinity.
template <typename T> double ulps(T computed, typename Format<T>::Wide exact) {
  using F = Format<T>;
  using Wide = typename F::Wide;
  if (std::isnan(computed) || std::isnan(exact))
    return std::isnan(computed) && std::isnan(exact) ? 0 : INFINITY;
  Wide most = std::ldexp(Wide(1), F::highest + 1);
  Wide value = std::isinf(computed) ? std::copysign(most, Wide(computed)) : Wide(computed);
  exact = std::clamp(exact, -most, most);
  int exponent = exact == 0 ? F::lowest : std::clamp(std::ilogb(exact), F::lowest, F::highest);
  return static_cast<double>(std::fabs(value - exact) / std::ldexp(Wide(1), exponent - F::mantissa));
}

template <typename T> T fromBits(typename Format<T>::Bits bits) { return std::bit_cast<T>(bits); }

/// Neighbours of the places where the algorithms change branch or exponent, and of the ends of the range.
template <typename T> std::vector<T> boundaries(int neighbours) {
  using Bits = typename Format<T>::Bits;
  std::vector<T> centres{0,
                         1,
                         T(M_SQRT2),
                         T(M_SQRT1_2),
                         T(M_LN2),
                         20,
                         10,
                         40,
                         T(88.722839),
                         T(103.97),
                         T(709.782712893384),
                         T(745.1332191019412),
                         std::numeric_limits<T>::min(),
                         std::numeric_limits<T>::epsilon(),
                         std::numeric_limits<T>::epsilon() / 2,
                         std::numeric_limits<T>::max()};
  for (int k = Format<T>::lowest; k <= Format<T>::highest; k += std::is_same_v<T, float> ? 1 : 7)
    centres.insert(centres.end(), {T((k + 0.5L) * M_LN2), std::ldexp(T(1), k), std::ldexp(T(M_SQRT2), k)});
  std::vector<T> all;
  for (T centre : centres)
    for (int d = -neighbours; d <= neighbours; ++d) {
      T x = fromBits<T>(std::bit_cast<Bits>(std::fabs(centre)) + Bits(d));
      all.insert(all.end(), {x, -x});
    }
  return all;
}

struct Worst {
  double ulps = 0, at = 0;
};

template <typename T>
void measure(const Function &function, const Compiled<T> &compiled, const std::vector<T> &x, Worst &worst) {
  using Wide = typename Format<T>::Wide;
  double lowest = std::is_same_v<T, float> ? function.lowest32 : function.lowest64;
  std::vector<T> y = compiled(x);
  for (size_t i = 0; i < x.size(); ++i) {
    if (x[i] < lowest)
      continue;
    Wide exact;
    if constexpr (std::is_same_v<T, float>)
      exact = function.exact(x[i]);
    else
      exact = function.wide(x[i]);
    double error = ulps<T>(y[i], exact);
    if (error > worst.ulps || std::isnan(error))
      worst = {error, x[i]};
  }
}

/// Every 97th float, which is 44 million, or as many random doubles as take as long; and the boundaries.
template <typename T> Worst sweep(const Function &function) {
  Compiled<T> compiled(function, 8192);
  Worst worst;
  measure(function, compiled, boundaries<T>(200), worst);
  std::vector<T> x;
  auto flush = [&] {
    measure(function, compiled, x, worst);
    x.clear();
  };
  if constexpr (std::is_same_v<T, float>) {
    for (uint64_t bits = 0; bits < uint64_t(1) << 32; bits += 97)
      if (x.push_back(fromBits<float>(static_cast<uint32_t>(bits))); x.size() == size_t(1) << 20)
        flush();
  } else {
    std::mt19937_64 random(7);
    std::uniform_real_distribution<double> near(-2, 2), middle(-50, 50);
    for (int i = 0; i < 1'500'000; ++i) {
      x.insert(x.end(), {fromBits<double>(random()), near(random), middle(random)});
      if (x.size() >= size_t(1) << 20)
        flush();
    }
  }
  flush();
  return worst;
}

bool sameBits(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) || std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
}

template <typename T> void checkScalarCode(const Function &function) {
  Compiled<T> vector(function, 8192), scalar(function, 1);
  std::vector<T> x = boundaries<T>(3);
  std::vector<T> wide = vector(x), narrow = scalar(x);
  for (size_t i = 0; i < x.size(); ++i) {
    INFO(function.name << "(" << x[i] << ")");
    if (!sameBits(wide[i], narrow[i]))
      CHECK(wide[i] == narrow[i]);
  }
}

template <typename T> void checkSpecialValues(const Function &function) {
  std::vector<T> x{
      0, T(-0.0), INFINITY, -INFINITY, NAN, -1, -2, std::numeric_limits<T>::lowest(), std::numeric_limits<T>::max(), 1};
  std::vector<T> y = Compiled<T>(function, 8192)(x);
  for (size_t i = 0; i < x.size(); ++i) {
    INFO(function.name << "(" << x[i] << ") = " << y[i]);
    T expected = static_cast<T>(function.wide(x[i]));
    if (std::isfinite(expected) && expected != 0)
      CHECK(ulps<T>(y[i], expected) <= 2);
    else
      CHECK(sameBits(y[i], expected));
  }
}

} // namespace

TEST_CASE("expanded functions are within their bounds in f32", "[expand-math]") {
  for (const Function &function : kFunctions) {
    Worst worst = sweep<float>(function);
    INFO(function.name << ": " << worst.ulps << " units at " << worst.at);
    CHECK(worst.ulps <= function.bound32);
  }
}

TEST_CASE("expanded functions are within their bounds in f64", "[expand-math]") {
  for (const Function &function : kFunctions) {
    Worst worst = sweep<double>(function);
    INFO(function.name << ": " << worst.ulps << " units at " << worst.at);
    CHECK(worst.ulps <= function.bound64);
  }
}

TEST_CASE("expanded functions are the same for scalars and for vectors", "[expand-math]") {
  for (const Function &function : kFunctions) {
    checkScalarCode<float>(function);
    checkScalarCode<double>(function);
  }
}

TEST_CASE("expanded functions have C's special values", "[expand-math]") {
  for (const Function &function : kFunctions) {
    checkSpecialValues<float>(function);
    checkSpecialValues<double>(function);
  }
}

TEST_CASE("print the errors of expanded functions", "[.][ulp-table]") {
  std::printf("| function | f32 | worst at | f64 | worst at |\n|---|---|---|---|---|\n");
  for (const Function &function : kFunctions) {
    Worst narrow = sweep<float>(function), wide = sweep<double>(function);
    std::printf("| %s | %.2f | %.9g | %.2f | %.17g |\n", function.name, narrow.ulps, narrow.at, wide.ulps, wide.at);
  }
}
