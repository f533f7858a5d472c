// A model with its layers written out and its heads scopes opened: one flat list of declarations, states and equations. Names of a
// layer `f` become "f.name", its dimensions the outer model's expressions, its inputs equations.
#pragma once
#include "frontend/SemaFiles.h"

namespace rondo::frontend {

struct FlatDecl {
  DeclKind kind;
  std::string name;
  Span span;
  TypeExpr type;
  std::optional<Interval> interval;
  Sharing sharing = Sharing::None;
  bool perHead = false;
};

struct FlatState {
  std::string name;
  Span span;
  TypeExpr type;
  ExprPtr initial;
  bool perHead = false;
  const FileScope *home = nullptr;
};

struct FlatEquation {
  std::string name;
  Span span; // the name on the left
  bool timeVarying = false;
  std::vector<TimeIndex> times;
  ExprPtr value;
  bool perHead = false;
  const FileScope *home = nullptr;
  std::optional<TypeExpr> declared; // layers' inputs and params: the type that the layer's model declares
  bool layerInput = false;          // may be read at other times, as an input may
};

struct FlatModel {
  const Model *model = nullptr;
  std::vector<FlatDecl> decls;
  std::vector<FlatState> states;
  std::vector<FlatEquation> equations;
  std::vector<Output> outputs;
  std::vector<bool> outputPerHead;
  std::vector<ExprPtr> headCounts; // one per heads scope; they must agree
};

class Elaborator {
public:
  static constexpr size_t maxDepth = 32;
  static constexpr size_t maxItems = 20000;

  Elaborator(const FileTable &files, Diagnostics &diagnostics) : files(files), diagnostics(diagnostics) {}
  FlatModel run(const Model &model, const FileScope *home);

private:
  /// How the text of one instance of a model is rewritten.
  struct Instance {
    const Model *model;
    const FileScope *home;
    const FileScope *argumentHome = nullptr;         // where the layer's arguments are written
    std::string prefix;                              // "" or "f."
    std::map<std::string, const Expr *> replacement; // dimensions and bound inits
    std::set<std::string> names;                     // names of the model that get the prefix
    std::vector<std::string> axes;                   // the outermost model's names of the axes
    std::map<std::string, const Argument *> bound;   // the layer's arguments by name
    std::vector<ExprPtr> made;                       // owners of replacements
  };

  void body(const ModelBody &body, Instance &instance, bool perHead);
  void decl(const Decl &decl, Instance &instance, bool perHead);
  void bindDecl(const Decl &decl, size_t index, Instance &instance, bool perHead);
  void equation(const Equation &equation, Instance &instance, bool perHead);
  void layer(const Layer &layer, Instance &outer, bool perHead);
  bool bindDims(const Layer &layer, Instance &inner, Instance &outer);
  bool bindArguments(const Layer &layer, Instance &inner, Instance &outer, std::vector<Argument> &storage);
  void collectNames(const ModelBody &body, Instance &instance);
  bool tooLarge(Span span);

  ExprPtr rewrite(const Expr &expr, const Instance &instance);
  void rewriteInPlace(ExprPtr &expr, const Instance &instance);
  TypeExpr rewrite(const TypeExpr &type, const Instance &instance);

  const FileTable &files;
  Diagnostics &diagnostics;
  FlatModel flat;
  std::vector<const Model *> active;
};

} // namespace rondo::frontend
