// The ops inside a chunk: the pseudo-loops of dialects/Chunk/ChunkOps.td as they stand there, each product taken anew.
#include "compiler/Reference/OpCompiler.h"

using namespace mlir;

namespace rondo::reference {
namespace {

/// An array with the axis `time` or `source` first: one row per step.
struct Rows {
  const Array &array;
  int64_t steps, width;

  explicit Rows(const Array &array)
      : array(array), steps(array.shape.front()),
        width(elementCount(llvm::ArrayRef<int64_t>(array.shape).drop_front())) {}
  /// A row of one element has it in every column.
  Complex at(int64_t step, int64_t column) const { return array.data[step * width + (width == 1 ? 0 : column)]; }
};

Complex product(const Array &like, Complex x, Complex y) {
  return like.isComplex ? x * y : Complex(x.real() * y.real());
}

/// x times the decays of the steps from `first` up to, and without, `last`; what lies behind `end` (at least 0) decays nothing.
Complex decayed(Complex x, const std::optional<Rows> &decay, int64_t first, int64_t last, int64_t column,
                int64_t end = -1) {
  for (int64_t step = first; decay && step < (end < 0 ? last : std::min(last, end)); ++step)
    x = product(decay->array, x, decay->at(step, column));
  return x;
}

/// The step in which a query and an earlier key meet where both are decayed up to there and rounded: the first of the smallest aligned
/// block that has the one and not the other.
int64_t meetingPoint(int64_t t, int64_t s) {
  int64_t bits = llvm::Log2_64(t ^ s);
  return t >> bits << bits;
}

} // namespace

OpCompiler::Closure OpCompiler::compileProducts(chunk::ProductsOp op) {
  Rows from(slot(op.getOperand()));
  chunk::Span span = op.getSpan();
  std::vector<int64_t> shape = from.array.shape;
  if (span == chunk::Span::All)
    shape.erase(shape.begin());
  Array &to = result(op.getResult(), shape);
  return std::function<void()>([=, &to, &rounding = sizes.rounding] {
    for (int64_t t = 0; t < (span == chunk::Span::All ? 1 : from.steps); ++t)
      for (int64_t i = 0; i < from.width; ++i) {
        int64_t first = span == chunk::Span::After ? t + 1 : 0;
        int64_t last = span == chunk::Span::Through ? t + 1 : span == chunk::Span::Before ? t : from.steps;
        to.data[t * from.width + i] = decayed(1, from, first, last, i, rounding.steps);
      }
  });
}

OpCompiler::Closure OpCompiler::compileScores(chunk::ScoresOp op) {
  Rows queries(slot(op.getQueries())), keys(slot(op.getKeys()));
  std::optional<Rows> decay;
  if (op.getDecay())
    decay.emplace(slot(op.getDecay()));
  int64_t size = keys.steps, own = op.getBefore() ? 0 : 1; // whether a step sees itself
  Array &to = result(op.getResult(), {size, size});
  bool apart = sizes.rounding.bits && decay && decay->width > 1; // decays along the keys are part of the operands
  return std::function<void()>([=, &to, &rounding = sizes.rounding] {
    for (int64_t t = 0; t < size; ++t)
      for (int64_t s = 0; s < t + own; ++s) {
        Complex sum = 0;
        int64_t middle = apart && s < t ? meetingPoint(t, s) : s + 1;
        for (int64_t i = 0; i < keys.width; ++i) {
          Complex query = rounding(apart ? decayed(queries.at(t, i), decay, middle, t + own, i) : queries.at(t, i));
          Complex key = rounding(apart ? decayed(keys.at(s, i), decay, s + 1, middle, i) : keys.at(s, i));
          Complex pair = product(to, query, key);
          sum += apart ? pair : decayed(pair, decay, s + 1, t + own, i);
        }
        to.data[t * size + s] = sum;
      }
  });
}

OpCompiler::Closure OpCompiler::compileApply(chunk::ApplyOp op) {
  Rows scores(slot(op.getScores())), values(slot(op.getValues()));
  std::optional<Rows> decay(slot(op.getDecay()));
  int64_t own = op.getBefore() ? 0 : 1;
  bool transposed = op.getTransposed(), apart = sizes.rounding.bits;
  const Rounding rounding = roundingOf(*op);
  Array &to = result(op.getResult(), values.array.shape);
  return std::function<void()>([=, &to] {
    std::fill(to.data.begin(), to.data.end(), 0.0);
    for (int64_t t = 0; t < values.steps; ++t)
      for (int64_t s = 0; s < t + own; ++s)
        for (int64_t i = 0; i < values.width; ++i) {
          // The values of the one step are decayed up to here and rounded; behind it the sum is decayed.
          const int64_t first = s + 1, last = t + own,
                        middle = apart && s < t ? meetingPoint(t, s)
                                 : transposed   ? last
                                                : first;
          Complex value = values.at(transposed ? t : s, i);
          value = transposed ? decayed(value, decay, middle, last, i) : decayed(value, decay, first, middle, i);
          value = product(to, rounding(scores.at(t, s)), rounding(value));
          to.data[(transposed ? s : t) * values.width + i] +=
              transposed ? decayed(value, decay, first, middle, i) : decayed(value, decay, middle, last, i);
        }
  });
}

OpCompiler::Closure OpCompiler::compileSums(chunk::SumsOp op) {
  Rows from(slot(op.getOperand()));
  std::optional<Rows> decay(slot(op.getDecay()));
  int64_t own = op.getBefore() ? 0 : 1;
  bool transposed = op.getTransposed();
  Array &to = result(op.getResult(), from.array.shape);
  return std::function<void()>([=, &to] {
    std::fill(to.data.begin(), to.data.end(), 0.0);
    for (int64_t t = 0; t < from.steps; ++t)
      for (int64_t s = 0; s < t + own; ++s)
        for (int64_t i = 0; i < from.width; ++i)
          to.data[(transposed ? s : t) * from.width + i] +=
              decayed(from.at(transposed ? t : s, i), decay, s + 1, t + own, i);
  });
}

OpCompiler::Closure OpCompiler::compileDecayGradient(chunk::DecayGradientOp op) {
  Rows scores(slot(op.getScores())), queries(slot(op.getQueries())), keys(slot(op.getKeys()));
  std::optional<Rows> decay(slot(op.getDecay()));
  int64_t own = op.getBefore() ? 0 : 1, width = decay->width;
  Array &to = result(op.getResult(), decay->array.shape);
  return std::function<void()>([=, &to] {
    std::fill(to.data.begin(), to.data.end(), 0.0);
    for (int64_t t = 0; t < keys.steps; ++t)
      for (int64_t s = 0; s < t; ++s)
        for (int64_t r = s + 1; r < t + own; ++r)
          for (int64_t i = 0; i < keys.width; ++i) {
            Complex pair = product(to, scores.at(t, s), product(to, queries.at(t, i), keys.at(s, i)));
            to.data[r * width + (width == 1 ? 0 : i)] +=
                decayed(decayed(pair, decay, s + 1, r, i), decay, r + 1, t + own, i);
          }
  });
}

OpCompiler::Closure OpCompiler::compileSolve(chunk::SolveOp op) {
  Rows matrix(slot(op.getMatrix())), right(slot(op.getRight()));
  std::optional<Rows> decay;
  if (op.getDecay())
    decay.emplace(slot(op.getDecay()));
  bool transposed = op.getTransposed();
  int64_t own = op.getBefore() ? 0 : 1; // whether the later step's decay counts
  Array &to = result(op.getResult(), right.array.shape);
  return std::function<void()>([=, &to, &rounding = sizes.rounding] {
    for (int64_t number = 0; number < right.steps; ++number)
      for (int64_t i = 0; i < right.width; ++i) {
        int64_t t = transposed ? right.steps - 1 - number : number;
        Complex sum = right.at(t, i);
        for (int64_t s = transposed ? t + 1 : 0; s < (transposed ? right.steps : t); ++s)
          sum += decayed(product(to, rounding(transposed ? matrix.at(s, t) : matrix.at(t, s)),
                                 rounding(to.data[s * right.width + i])),
                         decay, std::min(s, t) + 1, std::max(s, t) + own, i);
        to.data[t * right.width + i] = sum;
      }
  });
}

OpCompiler::Closure OpCompiler::compileRenamed(Value operand, Value renamed) {
  const Array &from = slot(operand);
  Array &to = result(renamed, from.shape);
  return std::function<void()>([&from, &to] { to.data = from.data; });
}

OpCompiler::Closure OpCompiler::compileRow(chunk::RowOp op) {
  const Array &from = slot(op.getOperand());
  Array &to = result(op.getResult(), std::vector<int64_t>(from.shape.begin() + 1, from.shape.end()));
  int64_t number = op.getNumber();
  return std::function<void()>([number, &from, &to] {
    std::copy_n(from.data.begin() + number * to.data.size(), to.data.size(), to.data.begin());
  });
}

OpCompiler::Closure OpCompiler::compileRows(chunk::RowsOp op) {
  std::vector<const Array *> rows;
  for (Value row : op.getOperands_())
    rows.push_back(&slot(row));
  std::vector<int64_t> shape = rows.front()->shape;
  shape.insert(shape.begin(), rows.size());
  Array &to = result(op.getResult(), shape);
  return std::function<void()>([rows, &to] {
    auto at = to.data.begin();
    for (const Array *row : rows)
      at = std::copy(row->data.begin(), row->data.end(), at);
  });
}

} // namespace rondo::reference
