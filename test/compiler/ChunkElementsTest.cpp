// The operations along a chunk, each compiled alone in a chunk.scan and compared with its definition, evaluated in f64. Sizes go
// around the widths of vectors and the blocks that are worked on at once.
#include "compiler/Driver/Compiler.h"
#include "rondo/Kernel.h"
#include <catch2/catch.hpp>
#include <cmath>
#include <complex>
#include <fmt/format.h>
#include <limits>
#include <map>
#include <random>
#include <set>

using namespace rondo;

namespace {

using Number = std::complex<double>;

/// A matrix in f64: `rows` steps, `columns` numbers in each.
struct Matrix {
  int64_t rows, columns;
  std::vector<Number> numbers = std::vector<Number>(size_t(rows * columns));
  Number &operator()(int64_t row, int64_t column) { return numbers[size_t(row * columns + column)]; }
};
using Matrices = std::map<std::string, Matrix>;

/// One chunk: `size` steps, inputs with so many columns (0: one number per step), and operations that compute %y, an output with
/// `outputColumns`. They may use the types !t<n> and !s<n> of arrays over time, or source, with n columns, and !A of scores.
struct Chunk {
  int64_t size;
  std::map<std::string, int64_t> inputs;
  int64_t outputColumns;
  std::string operations;
  DType element = DType::F32;

  std::string type(const std::string &extents, const std::string &axes, int64_t columns) const {
    const std::string row = columns ? fmt::format("{}x", columns) : "",
                      name = columns ? fmt::format("| \"{}\"", columns) : "";
    const char *of = element == DType::C64 ? "complex<f32>" : element == DType::F64 ? "f64" : "f32";
    return fmt::format("tensor<{}{}{}, #recur.dims<{}{}>>", extents, row, of, axes, name);
  }
  std::string text() const;
  Matrix run(const Matrices &given) const;
};

std::string Chunk::text() const {
  const std::string C = fmt::format("{}x", size);
  std::set<int64_t> columns{outputColumns};
  std::string arguments, operands, types, step, chunk;
  for (const auto &[name, count] : inputs) {
    const char *comma = operands.empty() ? "" : ", ";
    columns.insert(count);
    arguments += fmt::format("{}%{}: !x{} {{recur.kind = \"input\", recur.name = \"{}\"}}", comma, name, count, name);
    operands += fmt::format("{}%{}", comma, name);
    types += fmt::format("{}!x{}", comma, count);
    step += fmt::format("{}%{}: !v{}", comma, name, count);
    chunk += fmt::format("{}%{}: !t{}", comma, name, count);
  }
  std::string text = fmt::format("!A = {}\n", type(C + C, "time, source", 0));
  for (const int64_t count : columns)
    text +=
        fmt::format("!x{0} = {1}\n!v{0} = {2}\n!t{0} = {3}\n!s{0} = {4}\n", count, type("?x?x", "batch, time ", count),
                    type("", "", count), type(C, "time ", count), type(C, "source ", count));
  return text + fmt::format(R"(func.func @m({0}) -> (!x{1} {{recur.kind = "output", recur.name = "y"}}) {{
  %y = chunk.scan over [#recur.axis<"t">] states [] inputs({2} : {3}) plan <form = chunk, schedule = carry, chunk = {4}> step {{
  ^bb0({5}):
    %none = arith.constant dense<{8}> : !v{1}
    recur.yield outputs(%none : !v{1})
  }} chunk {{
  ^bb0({6}):
    {7}
    recur.yield outputs(%y : !t{1})
  }} : !x{1}
  return %y : !x{1}
}}
)",
                            arguments, outputColumns, operands, types, size, step, chunk, operations,
                            element == DType::C64 ? "(-7.0, 0.0)" : "-7.0");
}

/// Memory of a matrix with a gap of another row between any two rows, as the steps of several heads have it.
struct Spread {
  Spread(DType type, int64_t rows, int64_t columns)
      : width(std::max<int64_t>(columns, 1)), buffer(type, {2 * rows * width}),
        view{buffer.data(), type, {1, rows}, {2 * rows * width, 2 * width}} {
    if (columns) {
      view.shape.push_back(columns);
      view.strides.push_back(1);
    }
  }
  void set(size_t i, Number x) const {
    const size_t at = i / size_t(width) * size_t(2 * width) + i % size_t(width);
    if (view.type == DType::C64)
      buffer.as<std::complex<float>>()[at] = std::complex<float>(x);
    else if (view.type == DType::F64)
      buffer.as<double>()[at] = x.real();
    else
      buffer.as<float>()[at] = float(x.real());
  }
  Number get(size_t i) const {
    const size_t at = i / size_t(width) * size_t(2 * width) + i % size_t(width);
    if (view.type == DType::C64)
      return buffer.as<std::complex<float>>()[at];
    return view.type == DType::F64 ? buffer.as<double>()[at] : double(buffer.as<float>()[at]);
  }

  int64_t width;
  Buffer buffer;
  Tensor view;
};

Matrix Chunk::run(const Matrices &given) const {
  static driver::Compiler compiler;
  driver::Options options;
  const auto phases = driver::phaseNames();
  for (size_t i = 1; i < phases.size(); ++i)
    if (phases[i].first == "lower-scan")
      options.from = phases[i - 1].first;
  auto program = compiler.compile({"m.mlir", text()}, options);
  INFO(text() << (program.diagnostics.empty() ? "" : program.diagnostics[0].message));
  REQUIRE(program);
  std::vector<Spread> memory;
  NamedTensors tensors;
  for (const auto &[name, columns] : inputs) {
    const Spread &input = memory.emplace_back(element, size, columns);
    for (size_t i = 0; i < given.at(name).numbers.size(); ++i)
      input.set(i, given.at(name).numbers[i]);
    tensors.emplace_back(name, input.view);
  }
  const Spread y(element, size, outputColumns);
  const Result<void> ran = Kernel(*program.value).run(tensors, {{"y", y.view}});
  INFO((ran ? "" : ran.error().message()));
  REQUIRE(ran);
  Matrix result{size, y.width};
  for (size_t i = 0; i < result.numbers.size(); ++i)
    result.numbers[i] = y.get(i);
  return result;
}

/// Numbers that f32 holds: between -1 and 1, or decays, of which some are 0 and some 1. Complex ones have such a magnitude.
Matrix random(int64_t rows, int64_t columns, DType type, bool decays, unsigned seed) {
  std::mt19937 generator(seed);
  std::uniform_int_distribution<int> number(-1024, 1024);
  Matrix matrix{rows, columns};
  for (Number &x : matrix.numbers) {
    double size = number(generator) / 1024.0;
    if (decays)
      size = std::abs(size) < 0.05 ? 0 : std::abs(size) > 0.95 ? 1 : std::sqrt(std::sqrt(std::abs(size)));
    x = type == DType::C64 ? std::polar(1.0, number(generator) / 300.0) * size : size;
    x = Number(std::complex<float>(x));
  }
  return matrix;
}

/// A sum and the sum of its terms' magnitudes. Each term has passed through at most as many roundings as there are additions and
/// factors, so the error of the computed sum is at most that number of ulps of the magnitudes; a product of complex numbers has
/// the error of two real ones and a sum, at most sqrt(5) ulps.
struct Sum {
  Number sum = 0;
  double magnitude = 0;
  void add(Number term) {
    sum += term;
    magnitude += std::abs(term);
  }
};

void checkSum(Number found, const Sum &expected, int64_t roundings, DType type) {
  const double unit = std::ldexp(type == DType::C64 ? std::sqrt(5.0) : 1.0, type == DType::F64 ? -53 : -24);
  CHECK(std::abs(found - expected.sum) <= double(roundings) * unit * expected.magnitude * 1.01);
}

Matrix identity(int64_t size) {
  Matrix matrix{size, size};
  for (int64_t i = 0; i < size; ++i)
    matrix(i, i) = 1;
  return matrix;
}

/// The product of the decays over source < r <= row, or r < row.
Number decayed(Matrix &decay, int64_t column, int64_t source, int64_t row, bool before) {
  Number product = 1;
  for (int64_t r = source + 1; r < row + (before ? 0 : 1); ++r)
    product *= decay(r, column);
  return product;
}

/// The scores as an output: times the identity, which every element passes unchanged.
const char *const kShow = R"(
    %E = chunk.as_source(%e) : !t{0} -> !s{0}
    %y = recur.contract "ts,sn->tn"(%A, %E) : (!A, !s{0}) -> !t{0})";

enum class Decay { None, PerStep, PerKey };

void checkScores(int64_t size, int64_t keys, Decay decays, bool before, DType type) {
  INFO("size " << size << ", keys " << keys << ", decay " << int(decays) << ", before " << before << ", type "
               << int(type));
  const int64_t columns = decays == Decay::PerKey ? keys : 0;
  const std::string clause = decays == Decay::None ? "" : fmt::format("decay(%a : !t{})", columns);
  Chunk chunk{size, {{"q", keys}, {"k", keys}, {"e", size}}, size, "", type};
  chunk.operations = fmt::format("%A = chunk.scores(%q, %k) {} {} : !t{} -> !A", clause, before ? "before" : "", keys) +
                     fmt::format(fmt::runtime(kShow), size);
  Matrices given{
      {"q", random(size, keys, type, false, 1)}, {"k", random(size, keys, type, false, 2)}, {"e", identity(size)}};
  Matrix decay = random(size, std::max<int64_t>(columns, 1), type, true, 3);
  if (decays != Decay::None) {
    chunk.inputs["a"] = columns;
    given.emplace("a", decay);
  }
  Matrix found = chunk.run(given);
  for (int64_t t = 0; t < size; ++t)
    for (int64_t s = 0; s < size; ++s) {
      Sum expected;
      for (int64_t k = 0; k < keys && s < t + (before ? 0 : 1); ++k)
        expected.add(given.at("q")(t, k) * given.at("k")(s, k) *
                     (decays == Decay::None ? Number(1) : decayed(decay, columns ? k : 0, s, t, before)));
      checkSum(found(t, s), expected, keys + size + 2, type);
    }
}

void checkApply(int64_t size, int64_t columns, bool before, DType type, bool transposed = false) {
  INFO("size " << size << ", columns " << columns << ", before " << before << ", type " << int(type) << ", transposed "
               << transposed);
  // Scores come in as one row per step.
  Chunk chunk{size, {{"p", size}, {"v", columns}, {"b", columns}, {"e", size}}, columns, "", type};
  chunk.operations = fmt::format(R"(
    %E = chunk.as_source(%e) : !t{0} -> !s{0}
    %A = recur.contract "tn,sn->ts"(%p, %E) : (!t{0}, !s{0}) -> !A
    %y = chunk.apply(%A, %v, %b) {2} {3} : !A, !t{1})",
                                 size, columns, before ? "before" : "", transposed ? "transposed" : "");
  Matrices given{{"p", random(size, size, type, false, 4)},
                 {"v", random(size, columns, type, false, 5)},
                 {"b", random(size, columns, type, true, 6)},
                 {"e", identity(size)}};
  Matrix found = chunk.run(given);
  for (int64_t v = 0; v < columns; ++v) {
    std::vector<Sum> expected(size);
    for (int64_t t = 0; t < size; ++t)
      for (int64_t s = 0; s < t + (before ? 0 : 1); ++s)
        expected[transposed ? s : t].add(given.at("p")(t, s) * given.at("v")(transposed ? t : s, v) *
                                         decayed(given.at("b"), v, s, t, before));
    for (int64_t t = 0; t < size; ++t)
      checkSum(found(t, v), expected[t], 2 * size + 2, type);
  }
}

void checkSums(int64_t size, int64_t columns, bool before, bool transposed, DType type) {
  INFO("size " << size << ", columns " << columns << ", before " << before << ", transposed " << transposed << ", type "
               << int(type));
  Chunk chunk{size, {{"x", columns}, {"a", columns}}, columns, "", type};
  chunk.operations = fmt::format("%y = chunk.sums(%x, %a) {} {} : !t{}", before ? "before" : "",
                                 transposed ? "transposed" : "", columns);
  const int64_t width = std::max<int64_t>(columns, 1);
  Matrices given{{"x", random(size, width, type, false, 10)}, {"a", random(size, width, type, true, 11)}};
  Matrix found = chunk.run(given);
  for (int64_t v = 0; v < width; ++v) {
    std::vector<Sum> expected(size);
    for (int64_t t = 0; t < size; ++t)
      for (int64_t s = 0; s < t + (before ? 0 : 1); ++s)
        expected[transposed ? s : t].add(given.at("x")(transposed ? t : s, v) *
                                         decayed(given.at("a"), v, s, t, before));
    for (int64_t t = 0; t < size; ++t)
      checkSum(found(t, v), expected[t], 2 * size + 2, type);
  }
}

void checkDecayGradient(int64_t size, int64_t keys, Decay decays, bool before, DType type) {
  INFO("size " << size << ", keys " << keys << ", decay " << int(decays) << ", before " << before << ", type "
               << int(type));
  const int64_t columns = decays == Decay::PerKey ? keys : 0;
  Chunk chunk{size, {{"g", size}, {"q", keys}, {"k", keys}, {"a", columns}, {"e", size}}, columns, "", type};
  chunk.operations = fmt::format(R"(
    %E = chunk.as_source(%e) : !t{0} -> !s{0}
    %G = recur.contract "tn,sn->ts"(%g, %E) : (!t{0}, !s{0}) -> !A
    %y = chunk.decay_gradient(%G, %q, %k, %a) {3} : !A, !t{1}, !t{2})",
                                 size, keys, columns, before ? "before" : "");
  Matrices given{{"g", random(size, size, type, false, 12)},
                 {"q", random(size, keys, type, false, 13)},
                 {"k", random(size, keys, type, false, 14)},
                 {"a", random(size, std::max<int64_t>(columns, 1), type, true, 15)},
                 {"e", identity(size)}};
  Matrix found = chunk.run(given);
  std::vector<Sum> expected(found.numbers.size());
  for (int64_t k = 0; k < keys; ++k)
    for (int64_t t = 0; t < size; ++t)
      for (int64_t s = 0; s < t; ++s)
        for (int64_t r = s + 1; r < t + (before ? 0 : 1); ++r) {
          const int64_t column = columns ? k : 0;
          const Number others =
              decayed(given.at("a"), column, s, r, /*before=*/true) * decayed(given.at("a"), column, r, t, before);
          expected[size_t(r * found.columns + column)].add(given.at("g")(t, s) * given.at("q")(t, k) *
                                                           given.at("k")(s, k) * others);
        }
  for (size_t i = 0; i < expected.size(); ++i)
    checkSum(found.numbers[i], expected[i], 3 * size + keys + 4, type);
}

void checkProducts(const std::string &span, int64_t size, int64_t columns, DType type) {
  INFO(span << ", size " << size << ", columns " << columns << ", type " << int(type));
  Chunk chunk{size,
              {{"a", columns}},
              columns,
              fmt::format("%y = chunk.products {0}(%a) : !t{1} -> !t{1}", span, columns),
              type};
  if (span == "all")
    chunk.operations = fmt::format("%all = chunk.products all(%a) : !t{0} -> !v{0}\n"
                                   "    %y = recur.broadcast [0] (%all) : (!v{0}) -> !t{0}",
                                   columns);
  Matrix factors = random(size, std::max<int64_t>(columns, 1), type, true, 7), found = chunk.run({{"a", factors}});
  for (int64_t t = 0; t < size; ++t)
    for (int64_t c = 0; c < factors.columns; ++c) {
      Sum expected{1, 1};
      for (int64_t r = 0; r < size; ++r)
        if (span == "all" || (span == "through" && r <= t) || (span == "before" && r < t) || (span == "after" && r > t))
          expected = {expected.sum * factors(r, c), std::abs(expected.sum * factors(r, c))};
      checkSum(found(t, c), expected, size, type);
    }
}

void checkSolve(int64_t size, int64_t columns, DType type, bool transposed = false) {
  INFO("size " << size << ", columns " << columns << ", type " << int(type) << ", transposed " << transposed);
  Chunk chunk{size, {{"m", size}, {"r", columns}, {"e", size}}, columns, "", type};
  chunk.operations = fmt::format(R"(
    %E = chunk.as_source(%e) : !t{0} -> !s{0}
    %M = recur.contract "tn,sn->ts"(%m, %E) : (!t{0}, !s{0}) -> !A
    %y = chunk.solve(%M, %r) {2} : !A, !t{1})",
                                 size, columns, transposed ? "transposed" : "");
  Matrices given{{"m", random(size, size, type, false, 8)},
                 {"r", random(size, std::max<int64_t>(columns, 1), type, false, 9)},
                 {"e", identity(size)}};
  for (Number &x : given.at("m").numbers) // rows that add up to less than 1 let no error grow
    x = Number(std::complex<float>(x / double(size)));
  Matrix found = chunk.run(given);
  for (int64_t v = 0; v < found.columns; ++v)
    for (int64_t t = 0; t < size; ++t) {
      // What was found must solve its own equation: the residual is that of one sum.
      Sum expected;
      expected.add(given.at("r")(t, v));
      for (int64_t s = 0; s < size; ++s)
        if (transposed ? s > t : s < t)
          expected.add((transposed ? given.at("m")(s, t) : given.at("m")(t, s)) * found(s, v));
      checkSum(found(t, v), expected, size + 2, type);
    }
}

const std::vector<int64_t> kSizes{2, 3, 12, 16, 24, 32, 64};

} // namespace

TEST_CASE("chunk elements: scores", "[chunk-elements]") {
  for (const Decay decays : {Decay::None, Decay::PerStep, Decay::PerKey})
    for (const bool before : {false, true}) {
      for (const int64_t size : kSizes)
        checkScores(size, 13, decays, before, DType::F32);
      for (const int64_t keys : {1, 4, 8})
        checkScores(16, keys, decays, before, DType::F32);
      checkScores(16, 5, decays, before, DType::F64);
      checkScores(16, 5, decays, before, DType::C64);
    }
}

TEST_CASE("chunk elements: scores above the diagonal are 0, whatever comes later", "[chunk-elements]") {
  const double inf = std::numeric_limits<double>::infinity();
  const int64_t size = 16, keys = 4, late = 11;
  Chunk chunk{size, {{"q", keys}, {"k", keys}, {"a", keys}}, 0, R"(
    %A = chunk.scores(%q, %k) decay(%a : !t4) : !t4 -> !A
    %y = recur.reduce min [1] (%A) : (!A) -> !t0)"};
  Matrices given{{"q", Matrix{size, keys}}, {"k", Matrix{size, keys}}, {"a", Matrix{size, keys}}};
  for (auto &[name, matrix] : given)
    for (Number &x : matrix.numbers)
      x = 1;
  // A key that comes late, and a decay of infinity: the row's earlier scores become infinite, its later ones stay 0.
  given.at("k")(late, 2) = inf;
  given.at("a")(5, 1) = inf;
  Matrix found = chunk.run(given);
  for (int64_t t = 0; t < size - 1; ++t)
    CHECK(found(t, 0) == Number(0));
}

TEST_CASE("chunk elements: scores applied to values that decay", "[chunk-elements]") {
  for (const bool before : {false, true}) {
    for (const int64_t size : kSizes)
      checkApply(size, 21, before, DType::F32);
    for (const int64_t columns : {1, 7, 16, 40})
      checkApply(16, columns, before, DType::F32);
    checkApply(16, 11, before, DType::F64);
    checkApply(16, 11, before, DType::C64);
    for (const int64_t size : kSizes)
      checkApply(size, 21, before, DType::F32, /*transposed=*/true);
    for (const int64_t columns : {1, 7, 16, 40})
      checkApply(16, columns, before, DType::F32, /*transposed=*/true);
    checkApply(16, 11, before, DType::C64, /*transposed=*/true);
  }
}

TEST_CASE("chunk elements: running sums that decay", "[chunk-elements]") {
  for (const bool before : {false, true})
    for (const bool transposed : {false, true})
      for (const int64_t size : {2, 16, 24})
        for (const int64_t columns : {0, 1, 37, 64})
          for (const DType type : {DType::F32, DType::C64})
            checkSums(size, columns, before, transposed, type);
}

TEST_CASE("chunk elements: gradients of decays", "[chunk-elements]") {
  for (const Decay decays : {Decay::PerStep, Decay::PerKey})
    for (const bool before : {false, true}) {
      for (const int64_t size : {2, 3, 16, 24})
        checkDecayGradient(size, 21, decays, before, DType::F32);
      for (const int64_t keys : {1, 4, 32})
        checkDecayGradient(16, keys, decays, before, DType::F32);
      checkDecayGradient(12, 5, decays, before, DType::F64);
      checkDecayGradient(12, 5, decays, before, DType::C64);
    }
}

TEST_CASE("chunk elements: running products", "[chunk-elements]") {
  for (const char *span : {"through", "before", "after", "all"})
    for (const int64_t size : {2, 16, 24})
      for (const int64_t columns : {0, 1, 7, 37, 64})
        for (const DType type : {DType::F32, DType::C64})
          checkProducts(span, size, columns, type);
}

TEST_CASE("chunk elements: substitution", "[chunk-elements]") {
  for (const int64_t size : kSizes)
    for (const int64_t columns : {0, 5, 37})
      checkSolve(size, columns, DType::F32);
  checkSolve(16, 16, DType::F64);
  checkSolve(16, 16, DType::C64);
  for (const int64_t size : kSizes)
    checkSolve(size, 37, DType::F32, /*transposed=*/true);
  checkSolve(16, 0, DType::F32, /*transposed=*/true);
  checkSolve(16, 16, DType::C64, /*transposed=*/true);
}

TEST_CASE("chunk elements: vectors along steps that lie apart", "[chunk-elements]") {
  for (const DType type : {DType::F32, DType::C64})
    for (const int64_t size : {3, 16, 20}) {
      Chunk chunk{size, {{"a", 0}, {"b", 0}}, 0, "%y = recur.map mul(%a, %b) : (!t0, !t0) -> !t0", type};
      Matrices given{{"a", random(size, 1, type, false, 1)}, {"b", random(size, 1, type, false, 2)}};
      Matrix found = chunk.run(given);
      for (int64_t t = 0; t < size; ++t)
        checkSum(found(t, 0), {given.at("a")(t, 0) * given.at("b")(t, 0), 1}, 1, type);
    }
}
