// Trees back to text, with as few parentheses as the grammar allows. Items of a body are kept by kind; they are written
// in source order again by merging the lists, which never reorders one list, so that also trees without places print
// stably.
#include "frontend/AstPrinter.h"
#include <cmath>
#include <fmt/format.h>
#include <functional>
#include <limits>
#include <memory>

namespace rondo::frontend {

namespace {

/// Binding strengths, as in the grammar: each production's number is one more than that of the production that uses it.
enum Level { Comparison = 1, Sum, Product, UnaryMinus, Power, Postfix };

int levelOfOperator(const std::string &op) {
  if (op == "+" || op == "-")
    return Sum;
  if (op == "*" || op == "/" || op == "@")
    return Product;
  return op == "^" ? Power : Comparison;
}

int levelOf(const Expr &expr) {
  switch (expr.kind) {
  case ExprKind::Binary:
    return levelOfOperator(expr.name);
  case ExprKind::Unary:
    return UnaryMinus;
  case ExprKind::Number: // a negative number is made by folding only and reads back as a unary minus
    return std::signbit(expr.number) ? UnaryMinus : Postfix;
  default:
    return Postfix;
  }
}

std::string numberText(double value) {
  if (std::isinf(value))
    return value < 0 ? "-inf" : "inf";
  return fmt::format("{}", value);
}

class Printer {
public:
  std::string out;

  void expr(const Expr &e, int atLeast = Comparison) {
    bool parenthesis = levelOf(e) < atLeast;
    if (parenthesis)
      out += '(';
    bare(e);
    if (parenthesis)
      out += ')';
  }

  void file(const File &f) {
    merge({sequence(f.imports, [this](size_t &i, const auto &list) { import(list[i++]); }),
           sequence(f.fns, [this](size_t &i, const auto &list) { fn(list[i++]); }),
           sequence(f.models, [this](size_t &i, const auto &list) { model(list[i++]); })},
          [this] {
            if (!out.empty())
              out += '\n';
          });
  }

private:
  /// One list of a body as the merge sees it: where its next element stands, and how to write it (perhaps with
  /// successors).
  struct Sequence {
    std::function<bool()> done;
    std::function<uint32_t()> place;
    std::function<void()> write;
  };

  template <typename List, typename Write> static Sequence sequence(const List &list, Write write) {
    auto next = std::make_shared<size_t>(0);
    return {[&list, next] { return *next >= list.size(); }, [&list, next] { return list[*next].span.begin; },
            [&list, next, write] { write(*next, list); }};
  }

  static void merge(std::vector<Sequence> sequences, const std::function<void()> &before) {
    for (;;) {
      Sequence *first = nullptr;
      for (Sequence &s : sequences)
        if (!s.done() && (!first || s.place() < first->place()))
          first = &s;
      if (!first)
        return;
      before();
      first->write();
    }
  }

  template <typename List, typename Write> void list(const List &items, Write write) {
    const char *separator = "";
    for (const auto &item : items) {
      out += separator;
      write(item);
      separator = ", ";
    }
  }

  void exprs(const std::vector<ExprPtr> &items) {
    list(items, [this](const ExprPtr &e) { expr(*e); });
  }

  void arguments(const std::vector<Argument> &items, int atLeast) {
    list(items, [this, atLeast](const Argument &a) {
      if (!a.name.empty())
        out += a.name + " = ";
      expr(*a.value, atLeast);
    });
  }

  void bare(const Expr &e) {
    switch (e.kind) {
    case ExprKind::Number:
      out += e.spelling.empty() ? numberText(e.number) : e.spelling;
      break;
    case ExprKind::Name:
      out += e.name;
      break;
    case ExprKind::At:
      expr(*e.args[0], Postfix);
      times(e.times);
      break;
    case ExprKind::Subscript:
      expr(*e.args[0], Postfix);
      subscripts(e.subscripts);
      break;
    case ExprKind::Unary:
      out += e.name;
      expr(*e.args[0], UnaryMinus);
      break;
    case ExprKind::Binary:
      binary(e);
      break;
    case ExprKind::Call:
      out += e.name + "(";
      arguments(e.arguments, Comparison);
      out += ')';
      break;
    case ExprKind::Array:
      out += '[';
      exprs(e.args);
      out += ']';
      break;
    }
  }

  void binary(const Expr &e) {
    int level = levelOfOperator(e.name);
    // Comparisons do not associate; "^" takes a postfix on its left and a unary on its right; the others are left
    // associative.
    int left = level == Comparison ? Sum : level == Power ? Postfix : level;
    int right = level == Power ? UnaryMinus : level + 1;
    expr(*e.args[0], left);
    out += level == Power ? e.name : " " + e.name + " ";
    expr(*e.args[1], right);
  }

  void times(const std::vector<TimeIndex> &items) {
    out += '[';
    list(items, [this](const TimeIndex &t) {
      out += t.axis;
      if (t.sign == 0)
        return;
      out += t.sign < 0 ? '-' : '+';
      expr(*t.distance, Product);
    });
    out += ']';
  }

  void subscripts(const std::vector<Subscript> &items) {
    out += '[';
    list(items, [this](const Subscript &s) {
      if (s.begin)
        expr(*s.begin);
      if (s.isSlice)
        out += ':';
      if (s.end)
        expr(*s.end);
    });
    out += ']';
  }

  void type(const TypeExpr &t) {
    out += t.isComplex ? "complex [" : "[";
    list(t.dims, [this](const ExprPtr &e) { expr(*e, Sum); });
    out += ']';
  }

  void interval(const Interval &i) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    if (i.hi == infinity && i.lo != -infinity)
      out += (i.loOpen ? " > " : " >= ") + numberText(i.lo);
    else if (i.lo == -infinity && i.hi != infinity)
      out += (i.hiOpen ? " < " : " <= ") + numberText(i.hi);
    else
      out +=
          fmt::format(" in {}{}, {}{}", i.loOpen ? '(' : '[', numberText(i.lo), numberText(i.hi), i.hiOpen ? ')' : ']');
  }

  void names(const std::vector<std::string> &items) {
    list(items, [this](const std::string &name) { out += name; });
  }

  void startLine() { out.append(2 * indent, ' '); }

  void decl(const Decl &d) {
    out += d.kind == DeclKind::Input ? "input " : d.kind == DeclKind::Param ? "param " : "init ";
    names(d.names);
    out += ": ";
    type(d.type);
    if (d.interval)
      interval(*d.interval);
    out += d.sharing == Sharing::PerHead ? " per head\n" : d.sharing == Sharing::PerGroup ? " per group\n" : "\n";
  }

  void state(const StateDecl &s) {
    out += "state " + s.name + ": ";
    type(s.type);
    out += " = ";
    expr(*s.initial);
    out += '\n';
  }

  void equation(const Equation &e) {
    out += e.name;
    if (!e.times.empty())
      times(e.times);
    out += " = ";
    expr(*e.value);
    out += '\n';
  }

  void output(const Output &o) { out += "output " + o.name + "\n"; }

  void layer(const Layer &l) {
    out += "layer " + l.name + " = " + l.model;
    if (!l.dims.empty()) {
      out += '<';
      arguments(l.dims, Sum);
      out += '>';
    }
    out += '(';
    arguments(l.arguments, Comparison);
    out += ")\n";
  }

  void heads(const Heads &h) {
    out += "heads ";
    expr(*h.count, Sum);
    out += ' ';
    body(*h.body);
  }

  void body(const ModelBody &b) {
    out += "{\n";
    ++indent;
    merge({sequence(b.decls, [this](size_t &i, const auto &l) { decl(l[i++]); }),
           sequence(b.states, [this](size_t &i, const auto &l) { state(l[i++]); }),
           sequence(b.layers, [this](size_t &i, const auto &l) { layer(l[i++]); }),
           sequence(b.heads, [this](size_t &i, const auto &l) { heads(l[i++]); }),
           sequence(b.equations, [this](size_t &i, const auto &l) { equation(l[i++]); }),
           sequence(b.outputs, [this](size_t &i, const auto &l) { output(l[i++]); })},
          [this] { startLine(); });
    --indent;
    startLine();
    out += "}\n";
  }

  void model(const Model &m) {
    out += "model " + m.name;
    if (!m.dims.empty()) {
      out += '<';
      list(m.dims, [this](const DimParam &d) { out += d.name; });
      out += '>';
    }
    if (m.axes.size() > 1) {
      out += " over (";
      names(m.axes);
      out += ')';
    } else if (m.axes.size() == 1 && m.axes[0] != "t") {
      out += " over " + m.axes[0];
    }
    out += ' ';
    body(m.body);
  }

  void fn(const Fn &f) {
    out += "fn " + f.name + "(";
    list(f.params, [this](const FnParam &p) {
      out += p.name;
      if (p.type) {
        out += ": ";
        type(*p.type);
      }
      if (p.defaultValue) {
        out += " = ";
        expr(*p.defaultValue);
      }
    });
    out += ')';
    if (f.lets.empty()) {
      out += " = ";
      expr(*f.result);
      out += '\n';
      return;
    }
    out += " {\n";
    for (const Let &let : f.lets) {
      out += "  " + let.name + " = ";
      expr(*let.value);
      out += '\n';
    }
    out += "  return ";
    expr(*f.result);
    out += "\n}\n";
  }

  void import(const Import &i) { out += "import \"" + i.path + "\"\n"; }

  size_t indent = 0;
};

} // namespace

std::string print(const File &file) {
  Printer printer;
  printer.file(file);
  return std::move(printer.out);
}

std::string print(const Expr &expr) {
  Printer printer;
  printer.expr(expr);
  return std::move(printer.out);
}

} // namespace rondo::frontend
