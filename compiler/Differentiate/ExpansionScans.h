// The scans that an expansion goes back by: each keeps one state, or its cotangent, and reads it along one axis. ExpansionAdjoint says which
// of them there are.
//
// A transition u wᵀ is one more product that a state takes in, u pᵀ with p[t] = wᵀ S[t-1], and one more readout before the update, by w. So a
// delta rule goes back as an expansion does, once p and its cotangent dp[t] = uᵀ M[t] are there. These two are delta rules themselves:
//
//   S[t] = a[t] ∘ S[t-1] + u[t] p[t]ᵀ + k[t] v[t]ᵀ                      gives p, against time
//   M[t] = a[t+1] ∘ M[t+1] + w[t+1] dp[t+1]ᵀ + q[t] dy[t]ᵀ              gives dp
//
// Where u is a key k as well, v + p enters as one.
#pragma once
#include "compiler/Differentiate/ExpansionAdjoint.h"
#include "compiler/Differentiate/StepCopier.h"

namespace rondo {

/// What an argument of a block stands for.
struct Source {
  mlir::Value operand;
  bool isParam = false;
};
using Sources = llvm::DenseMap<mlir::Value, Source>;

class SourceCopier : public StepCopier {
public:
  SourceCopier(NewScan &into, const Sources &sources) : StepCopier(into), sources(sources) {}
  /// The argument of the new scan for an operand; one, however often it is asked for.
  mlir::Value input(mlir::Value operand, bool isParam = false) {
    mlir::Value &here = opened[operand];
    if (!here)
      here = isParam ? into.param(operand) : into.input(operand);
    return here;
  }

private:
  mlir::Value open(mlir::BlockArgument argument) override {
    Source source = sources.lookup(argument);
    return input(source.operand, source.isParam);
  }
  const Sources &sources;
  llvm::DenseMap<mlir::Value, mlir::Value> opened;
};

/// A tensor that a scan has made, to be multiplied by rows of the region of coefficients. Where a number per step multiplies these rows as a
/// whole, `scaled` has the tensor times that number, and `rows` are without it. The scan that made them has taken in this very product of
/// rounded numbers; a later one that takes in the same has the same states, and not those that drift away by what is rounded otherwise.
struct Handed {
  mlir::Value tensor, scaled, rows;
};

/// What a state takes in at every step: values of the region of coefficients, or what a transition has made of them.
struct Intake {
  unsigned state;
  mlir::Value key, value; // of the region; a transition of its own has no value
  Handed handed;
};

/// What is read of a state at every step, and the cotangent of that; null where there is none.
struct StateRead {
  unsigned state;
  int64_t axis;
  bool before;
  mlir::Value query; // of the region
  Handed cotangent;
};

/// What is asked of a state, or of its cotangent, at every step.
struct Request {
  std::function<mlir::Value(SourceCopier &)> query; // made inside the scan
  bool before = false;                              // of a state: as it is before the update
  bool whole = true;                                // wants what is read
  bool isWide = false;                              // stored as f32
  /// Wants `share` times what is read without the step's own outer products, too, where it is not null; of the region of coefficients. A query
  /// with a share is what the states take in, to the bit: the sums there and back cancel, and what is rounded in one of them alone would be left
  /// of all later steps.
  mlir::Value share;
  /// Rows by whose number per step the query has been multiplied, and the whole shall not be; see BareRows::hasInverse. Null for none.
  mlir::Value scaledBy;
};

class ExpansionScans {
protected:
  ExpansionScans(mlir::OpBuilder &b, const Expansion &expansion, llvm::ArrayRef<mlir::Value> ofFinals);

  /// Something read of a state, and what of it a decay's logarithm is the sum of: `by` times what was read without the step's own outer
  /// products. These are the same there and back and would cancel; where decays are strong they are all that there is.
  struct Reading {
    mlir::Value whole, share;
  };
  /// What is asked of state s along `axis`, in one scan.
  llvm::SmallVector<Reading> readState(unsigned s, int64_t axis, llvm::ArrayRef<Request> asked);
  /// What is asked of the cotangent of state s along `axis`, in one scan against time. May be nothing: for the cotangent of the initial state.
  llvm::SmallVector<Reading> readCotangent(unsigned s, int64_t axis, llvm::ArrayRef<Request> asked);
  /// What transition i reads, from the beginning on: it becomes an intake. Gives what `others`, queries and whether they read before the update,
  /// read of the state in the same scan.
  llvm::SmallVector<mlir::Value> followTransition(size_t i, llvm::ArrayRef<std::pair<mlir::Value, bool>> others);
  /// The cotangent of that, against time: it becomes a read. Gives what `others` read of the state's cotangent.
  llvm::SmallVector<mlir::Value> returnTransition(size_t i, llvm::ArrayRef<mlir::Value> others);
  /// The intake that a transition's write belongs to.
  bool isWrite(const Intake &intake) const;

  /// Makes `notLast`. What the last step takes in meets the cotangent of the final state, however strong decays are: it would be in the
  /// final states' part of a decay's cotangent, and in the last share, and cancel but for rounding errors that all steps get.
  void markLast();

  mlir::Value map(NewScan &made, recur::Fn fn, llvm::ArrayRef<mlir::Value> operands);
  mlir::Value add(NewScan &made, mlir::Value x, mlir::Value y);
  mlir::Value contract(NewScan &made, llvm::StringRef spec, llvm::ArrayRef<mlir::Value> operands,
                       mlir::RankedTensorType type);
  mlir::RankedTensorType stateType(unsigned s);
  /// A vector has a second axis of one entry here: what lies along it are numbers.
  bool isVector(unsigned s);
  /// What a scan gives, stored as narrow as the model's tensors: rows of a later product. Numbers stay as they are.
  mlir::Value narrowed(mlir::Value tensor);
  mlir::Value zeros(mlir::RankedTensorType type);
  recur::StateAttr stateNamed(const std::string &name);
  mlir::ArrayAttr reversedAxes();

  mlir::OpBuilder &b;
  mlir::Location loc;
  Expansion of;
  recur::ScanInterface scan;
  recur::CoefficientsOp given;
  llvm::ArrayRef<mlir::Value> ofFinals;
  mlir::Type stored; // 16 bits; null where no input is
  Sources sources;
  llvm::SmallVector<Intake> intakes;              // the outer products, then transitions that write along no key
  llvm::SmallVector<StateRead> reads;             // the readouts, then what transitions read
  llvm::SmallVector<mlir::Value> finals, ofInits; // per state
  mlir::Value
      notLast; // a number per step, 0 at the last one and 1 elsewhere; null where no final state has a cotangent

private:
  /// A delta_scan of one state in the making.
  struct DeltaParts {
    unsigned state;
    mlir::SmallVector<mlir::Value> keys, values;
    mlir::Value write, reader, read; // `read` stands for what `reader` reads before the update
    struct Readout {
      mlir::Value query, read; // as `reader` and `read`
      bool before;
    };
    mlir::SmallVector<Readout> others;
  };
  recur::DeltaScanOp finishDelta(NewScan &made, SourceCopier &from, const DeltaParts &parts, mlir::Value old,
                                 llvm::ArrayRef<mlir::Value> outputs);
  Handed handOver(mlir::ResultRange outputs, mlir::Value rows) const;
  llvm::SmallVector<mlir::Value> outputsFor(NewScan &made, SourceCopier &from, mlir::Value output, mlir::Value rows);
  std::pair<mlir::Value, mlir::Value> factors(const Intake &intake, SourceCopier &from);
  llvm::SmallVector<std::pair<mlir::Value, mlir::Value>> intakesOf(unsigned s, SourceCopier &from);
  std::pair<mlir::Value, mlir::Value> factors(const StateRead &read, SourceCopier &from);
  mlir::Value outer(NewScan &made, unsigned s, mlir::Value x, mlir::Value y, int64_t axis);
  mlir::Value read(NewScan &made, unsigned s, mlir::Value state, mlir::Value query, int64_t axis);
  mlir::Value decayed(NewScan &made, SourceCopier &from, unsigned s, mlir::Value state);
  mlir::Value decayedKey(NewScan &made, SourceCopier &from, unsigned s, mlir::Value key);
  llvm::SmallVector<Reading> readingsOf(recur::ScanOp made, llvm::ArrayRef<Request> asked);
  mlir::Value shareOf(NewScan &made, unsigned s, mlir::Value share);
  mlir::Value withOwn(NewScan &made, mlir::Value apart, mlir::Value query,
                      llvm::ArrayRef<std::pair<mlir::Value, mlir::Value>> own);
  void addOutputs(NewScan &made, SourceCopier &from, unsigned s, const Request &asked, mlir::Value whole,
                  mlir::Value apart, mlir::Value counts, llvm::SmallVectorImpl<mlir::Value> &outputs);
};

} // namespace rondo
