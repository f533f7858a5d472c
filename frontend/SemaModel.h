// The checker of one flat model. One class, split over files by concern: SemaModel.cpp (declarations, equations, outputs), SemaOrder.cpp
// (order and cycles), SemaDims.cpp (sizes), SemaNames.cpp (names and times), SemaExpr.cpp (operators), SemaCalls.cpp (primitive functions),
// SemaFns.cpp (inlining). SemaScans.cpp then deals the equations out to scans.
#pragma once
#include "frontend/Elaborate.h"
#include "frontend/SemaMatrix.h"

namespace rondo::frontend {

/// What an expression denotes. Error stands for a value whose mistake has been reported.
struct Val {
  enum Kind { Error, Dense, Matrix } kind = Error;
  uint32_t id = 0; // a ValueId or a MatrixId
  explicit operator bool() const { return kind != Error; }
};

class ModelSema {
public:
  static constexpr uint32_t maxDepth = 600;      // nested expressions, inlined ones included
  static constexpr uint32_t maxCalls = 20000;    // inlined calls of a model
  static constexpr size_t maxElements = 1 << 16; // of an array literal
  static constexpr int64_t maxLag = 1 << 20;

  ModelSema(const FileTable &files, const SourceManager &sources, Diagnostics &diagnostics, FlatModel flat);
  std::unique_ptr<TypedModel> run();

private:
  struct Symbol {
    enum Kind { Input, Param, Init, State, Equation } kind;
    uint32_t index; // tensor, flat declaration (Init), state, or flat equation
    bool perHead;
    Span span;
    bool broken = false; // its declaration had an error, so that its uses are silent
  };
  /// The names that a fn's body sees.
  struct Env {
    const Fn *fn = nullptr;
    std::map<std::string, Val> values;
    std::map<std::string, DimExpr> dims;
  };
  struct Context {
    const FileScope *home = nullptr;
    const Env *env = nullptr;
    bool perHead = false;
    bool timeless = false; // in an equation without a time index
  };
  struct Call {
    const Fn *fn;
    const FileScope *home; // of the fn
    Span span;
  };
  struct EquationState {
    std::optional<ValueType> declared;
    Val value;
    int state = -1; // the state that it updates
    uint32_t typed = 0;
  };
  struct HiddenState {
    std::string symbol;
    uint32_t state;
  };

  // SemaModel.cpp
  void declareDims();
  void declareHeads();
  void declareTensors(DeclKind kind);
  void declareStates();
  void declareEquations();
  void declareInit(uint32_t state);
  void defaultInit(const FlatState &flatState, const State &state, TensorDecl &tensor);
  bool addSymbol(const std::string &name, Symbol symbol);
  std::optional<Interval> checkedInterval(const FlatDecl &decl, const ValueType &type);
  bool sharingFits(const FlatDecl &decl);
  void evaluate(uint32_t equation);
  bool checkLeftSide(const FlatEquation &equation);
  Val checkDeclared(const FlatEquation &equation, Val value, const ValueType &declared);
  void addTypedEquation(uint32_t equation);
  void finishStates();
  void finishOutputs();
  void checkUse();

  // SemaOrder.cpp
  std::vector<uint32_t> order();
  std::vector<std::pair<uint32_t, Span>> dependencies(const FlatEquation &equation) const;
  void reportCycle(const std::vector<uint32_t> &path, uint32_t again,
                   const std::vector<std::vector<std::pair<uint32_t, Span>>> &graph);

  // SemaDims.cpp
  std::optional<DimExpr> dim(const Expr &expr);
  std::optional<DimExpr> dimName(const Expr &expr);
  std::optional<DimExpr> dimOperator(const Expr &expr, const DimExpr &a, const DimExpr &b);
  std::optional<ValueType> type(const TypeExpr &type);
  std::optional<DimExpr> positive(const Expr &expr);
  bool unify(const Expr &pattern, const DimExpr &size, Env &env);

  // SemaNames.cpp
  Val name(const Expr &expr);
  Val constantName(const std::string &name);
  Val at(const Expr &expr);
  Val current(const Symbol &symbol);
  Val readState(uint32_t state, const Read &read, const std::vector<int> &direction, Span span);
  Val readLagged(const std::string &name, const Symbol &symbol, const Read &read, const std::vector<int> &direction,
                 Span span);
  std::optional<uint32_t> findHidden(const std::string &name, const std::vector<int> &direction) const;
  bool timeOffsets(const Expr &expr, Read &read, std::vector<int> &direction);
  const Symbol *lookup(const std::string &name) const;
  bool inScope(const Symbol &symbol, const std::string &name, Span span);
  void unknownName(const std::string &name, Span span);

  // SemaExpr.cpp
  Val expr(const Expr &expr);
  Val unary(const Expr &expr);
  Val binary(const Expr &expr);
  Val combine(const Expr &expr, Val left, Val right);
  Val elementwise(const Expr &expr, MapFn fn, Val left, Val right);
  Val structured(const Expr &expr, MapFn fn, Val left, Val right);
  Val contract(const Expr &expr, Val left, Val right);
  Val power(const Expr &expr, Val base, Val exponent);
  Val powerOf(ValueId base, int64_t exponent);
  Val array(const Expr &expr);
  Val constantArray(const std::vector<ValueId> &elements, Span span);
  Val subscript(const Expr &expr);
  bool timeInFn(const Expr &expr);
  std::optional<ValueId> subscriptAxis(ValueId base, size_t axis, const Subscript &subscript);
  std::optional<ValueId> mapChecked(MapFn fn, std::vector<ValueId> operands, const Expr &expr,
                                    const std::vector<const Expr *> &parts);
  /// As an array; `like` gives the shape of what is made of `I` alone.
  std::optional<ValueId> dense(Val value, Span span, const Shape *like = nullptr);
  MatrixId matrix(Val value);
  MatrixShape matrixShape(Val value) const;
  bool isMatrixLike(Val value) const;
  bool isScalar(Val value) const { return value.kind == Val::Dense && values.isScalar(value.id); }
  Val matrixVal(MatrixId id, Span span);
  std::string shapeText(Val value) const;

  // SemaCalls.cpp
  Val call(const Expr &expr);
  Val primitive(const Expr &expr);
  Val mapCall(const Expr &expr, MapFn fn, const std::vector<Val> &arguments);
  Val reduceCall(const Expr &expr, ReduceKind kind, const std::vector<Val> &arguments, std::optional<ValueId> axis);
  Val shapeCall(const Expr &expr, const std::vector<Val> &arguments);
  Val concatCall(const Expr &expr, const std::vector<Val> &arguments, std::optional<ValueId> axis);
  Val fillCall(const Expr &expr, double number);
  Val headsCall(const Expr &expr);
  Val splitValue(const Expr &expr, ValueId operand);
  Val mergeValue(const Expr &expr, ValueId operand);
  void provide(ValueId operand, bool perHead, Span span);
  bool countArguments(const Expr &expr, size_t least, size_t most);
  std::optional<int64_t> axisNumber(ValueId axis, size_t rank, Span span);

  // SemaFns.cpp
  Val callFn(const Expr &expr, Found<Fn> fn);
  bool bindArguments(const Expr &expr, const Fn &fn, Env &env);
  bool bindTyped(const Expr &expr, const FnParam &param, Env &env);
  Val runBody(const Fn &fn, Env &env);

  // Errors, told in the user's own text where a library fn fails.
  Diagnostic &error(std::string slug, Span span, std::string message);
  Span userPlace(Span span) const;
  std::string excerpt(Span span) const;
  std::string nearest(const std::string &name, const std::vector<std::string> &candidates) const;

  const FileTable &files;
  const SourceManager &sources;
  Diagnostics &diagnostics;
  FlatModel flat;
  std::unique_ptr<TypedModel> model;
  ValueBuilder values;
  MatrixBuilder matrices;
  std::map<std::string, Symbol> symbols;
  std::vector<EquationState> equations;
  std::vector<int> stateEquation; // per declared state; -1: none
  std::vector<HiddenState> hidden;
  std::map<std::string, uint32_t> initTensors;
  Context context;
  std::vector<Call> calls;
  uint32_t depth = 0, callCount = 0;
  bool tooLarge = false;      // reported once
  size_t literalElements = 0; // of all array literals: the total is bounded too
};

/// Orders the model's equations into scans (TypedModel::scans, State::scan, TypedOutput::scan). False after an error.
bool partition(TypedModel &model, Diagnostics &diagnostics);

/// Marks the params that multiply a state on the way to a state (TensorDecl::recurrent).
void markRecurrent(TypedModel &model);

} // namespace rondo::frontend
