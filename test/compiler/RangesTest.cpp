// Intervals of values: the rules one by one, and random expressions whose values must lie in the interval that is found for them.
#include "compiler/Analysis/Ranges.h"
#include "test/compiler/Spellings.h"
#include <catch2/catch.hpp>
#include <random>
#include <sstream>

using namespace rondo;
using analysis::Interval;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

const char *const kAliases = R"(
  !s = tensor<f64, #recur.dims<>>
  !i1 = tensor<?xi1, #recur.dims<| K>>
  !k = tensor<?xf64, #recur.dims<| K>>
  !c = tensor<?xcomplex<f64>, #recur.dims<| K>>
  !v = tensor<?xf64, #recur.dims<| V>>
  !kk = tensor<?x?xf64, #recur.dims<| K, K>>
  !kv = tensor<?x?xf64, #recur.dims<| K, V>>
  !b_k = tensor<?x?xf64, #recur.dims<batch | K>>
  !bt_k = tensor<?x?x?xf64, #recur.dims<batch, time | K>>
  !bt_c = tensor<?x?x?xcomplex<f64>, #recur.dims<batch, time | K>>
)";

/// The interval of the value that a function returns. The function begins with `one` = 1 and has the arguments u in [0, 1],
/// n <= 0, p >= 0, w in [-2, 3] and x, y, z of which nothing is known.
Interval of(const std::string &body, const std::string &type = "!k") {
  auto module = spellings::parse(kAliases + std::string(R"(
func.func @f(%u: !k {recur.range = #recur.interval<0.0, 1.0>}, %n: !k {recur.range = #recur.interval<-inf, 0.0>},
             %p: !k {recur.range = #recur.interval<open 0.0, inf>}, %w: !k {recur.range = #recur.interval<-2.0, open 3.0>},
             %x: !k, %y: !k, %z: !c, %V: !kv {recur.range = #recur.interval<2.0, 5.0>}) -> )") +
                                 type + " {\n  %one = arith.constant dense<1.0> : !s\n" + body +
                                 "  return %r : " + type + "\n}\n");
  auto function = spellings::functionOf(*module);
  return analysis::Ranges().of(function.getBody().front().getTerminator()->getOperand(0));
}

std::string map(const std::string &result, const std::string &fn, const std::string &operands,
                const std::string &types) {
  return "  %" + result + " = recur.map " + fn + "(" + operands + ") : (" + types + ") -> !k\n";
}
Interval unary(const std::string &fn, const std::string &x) { return of(map("r", fn, x, "!k")); }
Interval binary(const std::string &fn, const std::string &x, const std::string &y) {
  return of(map("r", fn, x + ", " + y, "!k, !k"));
}

void require(Interval actual, double lo, double hi) {
  CAPTURE(actual.lo, actual.hi, lo, hi);
  REQUIRE(actual.lo == lo);
  REQUIRE(actual.hi == hi);
}

/// One argument of the last op in a scan of the text that is neither a state's nor a result: found by walking to `recur.map tanh`.
Interval ofTanhOperand(const std::string &text) {
  auto module = spellings::parse(kAliases + text);
  std::optional<Interval> found;
  module->walk([&](recur::MapOp op) {
    if (op.getFn() == recur::Fn::Tanh)
      found = analysis::Ranges().of(op.getOperands_()[0]);
  });
  REQUIRE(found);
  return *found;
}

} // namespace

TEST_CASE("a declared interval is the argument's, and without one nothing is known", "[ranges]") {
  require(unary("neg", "%u"), -1, 0);
  require(unary("neg", "%n"), 0, kInf);
  require(unary("neg", "%p"), -kInf, 0);
  require(unary("neg", "%w"), -3, 2);
  require(unary("neg", "%x"), -kInf, kInf);
}

TEST_CASE("functions of one value", "[ranges]") {
  require(unary("exp", "%n"), 0, 1);
  require(unary("exp", "%x"), 0, kInf);
  require(unary("expm1", "%n"), -1, 0);
  require(unary("log", "%u"), -kInf, 0);
  require(unary("log", "%p"), -kInf, kInf);
  require(unary("log", "%w"), -kInf, kInf);
  require(unary("log1p", "%u"), 0, std::log(2.0));
  require(unary("log1p", "%w"), -kInf, kInf);
  require(unary("sqrt", "%u"), 0, 1);
  require(unary("sqrt", "%w"), 0, std::sqrt(3.0));
  require(unary("tanh", "%x"), -1, 1);
  require(unary("tanh", "%p"), 0, 1);
  require(unary("erf", "%x"), -1, 1);
  require(unary("floor", "%u"), 0, 1);
  require(unary("floor", "%x"), -kInf, kInf);
  for (const char *fn : {"sin", "cos", "sign"})
    require(unary(fn, "%x"), -1, 1);
  require(unary("abs", "%w"), 0, 3);
  require(unary("abs", "%n"), 0, kInf);
  require(unary("abs", "%u"), 0, 1);
}

TEST_CASE("functions of two values", "[ranges]") {
  require(binary("add", "%u", "%w"), -2, 4);
  require(binary("sub", "%u", "%w"), -3, 3);
  require(binary("mul", "%u", "%w"), -2, 3);
  require(binary("mul", "%n", "%n"), 0, kInf);
  require(binary("mul", "%w", "%w"), 0, 9);
  require(binary("max", "%n", "%u"), 0, 1);
  require(binary("max", "%x", "%w"), -2, kInf);
  require(binary("min", "%x", "%w"), -kInf, 3);
  require(binary("min", "%u", "%n"), -kInf, 0);
  require(binary("pow", "%u", "%p"), 0, 1);
  require(binary("pow", "%u", "%x"), -kInf, kInf);
  require(binary("pow", "%p", "%u"), -kInf, kInf);
  require(of("  %c = recur.map lt(%x, %y) : (!k, !k) -> !i1\n" + map("r", "select", "%c, %u, %w", "!i1, !k, !k")), -2,
          3);
}

TEST_CASE("quotients", "[ranges]") {
  auto onePlus = [](const std::string &x) { return map("d", "add", "%one, " + x, "!s, !k"); };
  require(of(onePlus("%u") + map("r", "div", "%u, %d", "!k, !k")), 0, 1);
  require(of(onePlus("%u") + map("r", "div", "%w, %d", "!k, !k")), -2, 3);
  require(of(onePlus("%u") + map("m", "neg", "%d", "!k") + map("r", "div", "%w, %m", "!k, !k")), -3, 2);
  require(of(onePlus("%p") + map("r", "div", "%x, %d", "!k, !k")), -kInf, kInf);
  require(of(onePlus("%p") + map("r", "div", "%one, %d", "!s, !k")), 0, 1);
  SECTION("by what may be 0") {
    require(binary("div", "%u", "%p"), 0, kInf);
    require(binary("div", "%u", "%n"), -kInf, 0);
    require(of(onePlus("%u") + map("r", "div", "%d, %u", "!k, !k")), 1, kInf);
  }
  SECTION("by what changes its sign") { require(binary("div", "%u", "%w"), -kInf, kInf); }
}

TEST_CASE("nothing times infinity is nothing, infinity less infinity anything", "[ranges]") {
  require(binary("mul", "%u", "%p"), 0, kInf);
  require(binary("mul", "%u", "%n"), -kInf, 0);
  require(binary("mul", "%u", "%x"), -kInf, kInf);
  std::string zero = "  %zero = arith.constant dense<0.0> : !s\n";
  require(of(zero + map("r", "mul", "%zero, %x", "!s, !k")), 0, 0);
  require(binary("sub", "%p", "%p"), -kInf, kInf);
  std::string ends =
      "  %a = arith.constant dense<0x7FF0000000000000> : !s\n  %b = arith.constant dense<0xFFF0000000000000> : !s\n"
      "  %m = recur.map add(%a, %b) : (!s, !s) -> !s\n";
  require(of(ends + map("r", "max", "%m, %u", "!s, !k")), 0, kInf);
}

TEST_CASE("a sigmoid lies in [0, 1], from one half on for what is not negative", "[ranges]") {
  auto sigmoid = [](const std::string &x) {
    return map("a", "neg", x, "!k") + map("e", "exp", "%a", "!k") + map("d", "add", "%one, %e", "!s, !k") +
           map("r", "div", "%one, %d", "!s, !k");
  };
  require(of(sigmoid("%x")), 0, 1);
  require(of(sigmoid("%p")), 0.5, 1);
  require(of(sigmoid("%n")), 0, 0.5);
}

TEST_CASE("a convex combination of 1 and a value", "[ranges]") {
  auto blend = [](const std::string &weight, const std::string &product, const std::string &sum) {
    return of("  %one2 = arith.constant dense<1.0> : !s\n" + map("v", "sub", "%one2, " + weight, "!s, !k") +
              map("q", "mul", product, "!k, !k") + map("r", "add", sum, "!k, !k"));
  };
  std::string tanh = map("g", "tanh", "%x", "!k");
  require(blend("%u", "%v, %u", "%u, %q"), 0, 1);
  require(blend("%u", "%n, %v", "%q, %u"), -kInf, 1);
  SECTION("whose weight is no number between 0 and 1") {
    require(blend("%w", "%v, %u", "%w, %q"), -4, 6);
    require(blend("%p", "%v, %u", "%p, %q"), -kInf, kInf);
  }
  SECTION("with another weight than the one that is added") { require(blend("%u", "%v, %u", "%w, %q"), -2, 4); }
  SECTION("of a bounded gate") {
    std::string text = tanh + map("v", "sub", "%one, %u", "!s, !k") + map("q", "mul", "%v, %g", "!k, !k");
    require(of(text + map("r", "add", "%u, %q", "!k, !k")), -1, 1);
  }
}

TEST_CASE("x less a maximum that x takes part in is not positive", "[ranges]") {
  auto less = [](const std::string &maximum, const std::string &difference) {
    return of(map("m", "max", maximum, "!k, !k") + map("r", "sub", difference, "!k, !k"));
  };
  require(less("%x, %y", "%x, %m"), -kInf, 0);
  require(less("%y, %x", "%x, %m"), -kInf, 0);
  require(less("%u, %w", "%u, %m"), -3, 0);
  SECTION("a maximum of maxima") {
    require(of(map("a", "max", "%x, %y", "!k, !k") + map("m", "max", "%u, %a", "!k, !k") +
               map("r", "sub", "%y, %m", "!k, !k")),
            -kInf, 0);
  }
  SECTION("x computed a second time") {
    require(of(map("a", "add", "%x, %y", "!k, !k") + map("m", "max", "%u, %a", "!k, !k") +
               map("b", "add", "%x, %y", "!k, !k") + map("r", "sub", "%b, %m", "!k, !k")),
            -kInf, 0);
  }
  SECTION("not the other way round, and of no other value") {
    require(less("%x, %y", "%m, %x"), -kInf, kInf);
    require(less("%y, %w", "%x, %m"), -kInf, kInf);
    require(of(map("a", "add", "%x, %y", "!k, !k") + map("m", "max", "%u, %a", "!k, !k") +
               map("b", "add", "%x, %u", "!k, !k") + map("r", "sub", "%b, %m", "!k, !k")),
            -kInf, kInf);
    require(of(map("m", "min", "%x, %y", "!k, !k") + map("r", "sub", "%x, %m", "!k, !k")), -kInf, kInf);
  }
}

TEST_CASE("complex values are anything, and what real functions make of them is bounded again", "[ranges]") {
  require(of("  %r = recur.map exp(%z) : (!c) -> !c\n", "!c"), -kInf, kInf);
  require(of("  %r = recur.cast(%u) : (!k) -> !c\n", "!c"), -kInf, kInf);
  require(of("  %r = recur.map complex(%u, %u) : (!k, !k) -> !c\n", "!c"), -kInf, kInf);
  require(of("  %r = recur.map mul(%z, %z) : (!c, !c) -> !c\n", "!c"), -kInf, kInf);
  require(of("  %r = recur.map real(%z) : (!c) -> !k\n"), -kInf, kInf);
  require(of("  %r = recur.map abs(%z) : (!c) -> !k\n"), 0, kInf);
}

TEST_CASE("constants, and ops that move elements", "[ranges]") {
  std::string three = "  %r = arith.constant dense<[2.0, -1.0, 0.5]> : tensor<3xf64, #recur.dims<| \"3\">>\n";
  require(of(three, "tensor<3xf64, #recur.dims<| \"3\">>"), -1, 2);
  require(of("  %r = recur.identity : !kk\n", "!kk"), 0, 1);
  require(of("  %r = recur.broadcast [1] (%u) : (!k) -> !kv\n", "!kv"), 0, 1);
  require(of("  %r = recur.slice 0 at \"0\" drop (%w) : (!k) -> !s\n", "!s"), -2, 3);
  require(of("  %r = recur.concat 0 (%u, %w) : (!k, !k) -> tensor<?xf64, #recur.dims<| \"2*K\">>\n",
             "tensor<?xf64, #recur.dims<| \"2*K\">>"),
          -2, 3);
  require(of("  %r = recur.reshape(%V) : (!kv) -> tensor<?xf64, #recur.dims<| \"K*V\">>\n",
             "tensor<?xf64, #recur.dims<| \"K*V\">>"),
          2, 5);
  require(of("  %r = recur.cast(%u) : (!k) -> tensor<?xf32, #recur.dims<| K>>\n", "tensor<?xf32, #recur.dims<| K>>"), 0,
          1);
  for (const char *kind : {"max", "min"})
    require(of("  %r = recur.reduce " + std::string(kind) + " [1] (%V) : (!kv) -> !k\n"), 2, 5);
  for (const char *kind : {"sum", "prod"})
    require(of("  %r = recur.reduce " + std::string(kind) + " [1] (%V) : (!kv) -> !k\n"), -kInf, kInf);
  require(of("  %r = recur.contract \"kv,k->kv\"(%V, %w) : (!kv, !k) -> !kv\n", "!kv"), -10, 15);
  require(of("  %r = recur.contract \"kv,k->v\"(%V, %u) : (!kv, !k) -> !v\n", "!v"), -kInf, kInf);
}

TEST_CASE("a step's values, through the scan that its operands come from", "[ranges]") {
  // A gate is computed in a scan of its own, as hoist-parallel leaves it.
  const std::string text = R"(
func.func @f(%x: !bt_k, %W: !kk, %c: !k {recur.range = #recur.interval<-3.0, -2.0>}, %h0: !b_k {recur.range = #recur.interval<0.0, 1.0>}) -> !b_k {
  %g = recur.scan over [#recur.axis<"t">] inputs(%x : !bt_k) params(%W : !kk) {
  ^bb0(%xt: !k, %w: !kk):
    %p = recur.contract "ab,b->a"(%w, %xt) : (!kk, !k) -> !k
    %a = recur.map abs(%p) : (!k) -> !k
    %n = recur.map neg(%a) : (!k) -> !k
    %e = recur.map exp(%n) : (!k) -> !k
    recur.yield outputs(%e : !k)
  } : !bt_k
  %y, %hT = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%g : !bt_k) params(%c : !k)
      inits(%h0 : !b_k) {
  ^bb0(%gt: !k, %ct: !k, %h: !k):
    %t = recur.map tanh(OPERAND) : (!k) -> !k
    %d = recur.map mul(%gt, %h) : (!k, !k) -> !k
    recur.yield states(%d : !k) outputs(%t : !k)
  } : !bt_k, !b_k
  return %hT : !b_k
})";
  auto with = [&](const std::string &operand) {
    std::string own = text;
    return ofTanhOperand(own.replace(own.find("OPERAND"), 7, operand));
  };
  require(with("%gt"), 0, 1);
  require(with("%ct"), -3, -2);
  // A state leaves the interval that it starts in.
  require(with("%h"), -kInf, kInf);
}

TEST_CASE("an output that a linear scan's readout bounds, and its final state, which nothing does", "[ranges]") {
  auto module = spellings::parse(kAliases + std::string(R"(
func.func @f(%x: !bt_k, %h0: !b_k) -> (!bt_k, !b_k) {
  %y, %hT = recur.linear_scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>] inputs(%x : !bt_k) inits(%h0 : !b_k)
      semiring plus_times coefficients {
  ^bb0(%xt: !k):
    recur.coefficients decays(%xt : !k) values(%xt : !k)
  } readout {
  ^bb0(%xt: !k, %h: !k, %h1: !k):
    %t = recur.map tanh(%h) : (!k) -> !k
    recur.yield outputs(%t : !k)
  } : !bt_k, !b_k
  return %y, %hT : !bt_k, !b_k
})"));
  auto results = spellings::functionOf(*module).getBody().front().getTerminator()->getOperands();
  analysis::Ranges ranges;
  require(ranges.of(results[0]), -1, 1);
  require(ranges.of(results[1]), -kInf, kInf);
}

TEST_CASE("two results of one scan are two values", "[ranges]") {
  auto module = spellings::parse(kAliases + std::string(R"(
func.func @f(%x: !bt_k, %y: !bt_k) -> !bt_k {
  %a, %b = recur.scan over [#recur.axis<"t">] inputs(%x, %y : !bt_k, !bt_k) {
  ^bb0(%xt: !k, %yt: !k):
    recur.yield outputs(%xt, %yt : !k, !k)
  } : !bt_k, !bt_k
  %m = recur.map max(%a, %x) : (!bt_k, !bt_k) -> !bt_k
  %r = recur.map sub(%b, %m) : (!bt_k, !bt_k) -> !bt_k
  return %r : !bt_k
})"));
  require(analysis::Ranges().of(spellings::functionOf(*module).getBody().front().getTerminator()->getOperand(0)), -kInf,
          kInf);
}

TEST_CASE("the decays that a max-plus state makes are known to lie in [0, 1]", "[ranges]") {
  std::string spec = spellings::readSpelling("mlstm");
  for (const char *model : {"plain_0", "plain_2", "plain_6", "turned_8", "plain_9"}) {
    INFO(model);
    auto module = spellings::parse(spellings::emit({spec, model}, "raise"));
    unsigned scans = 0;
    module->walk([&](recur::ExpandScanOp scan) {
      ++scans;
      for (mlir::Value decay : scan.coefficients().getDecays())
        require(analysis::Ranges().of(decay), 0, 1);
    });
    REQUIRE(scans == 1);
  }
}

TEST_CASE("a vector's decay by a max-plus state of its largest element, handed on as numbers", "[ranges]") {
  auto model = [](const std::string &largest) {
    return spellings::Model{
        "model f<K, V> {\n  input k, g, e: [K]\n  input v: [V]\n  input i: []\n  state S: [K, V] = 0\n"
        "  state m: [] = 0\n  m[t] = max(" +
            largest +
            " + m[t-1], i[t])\n"
            "  S[t] = diag(exp(g[t] + m[t-1] - m[t])) @ S[t-1] + outer(k[t], v[t])\n"
            "  o[t] = k[t] @ S[t]\n  output o\n}\n",
        "f"};
  };
  auto decayOf = [](const spellings::Model &model) {
    auto module = spellings::parse(spellings::emit(model, "raise"));
    std::optional<Interval> found;
    module->walk([&](recur::ExpandScanOp scan) {
      // Numbers come from the scan of m; the vector is computed where it is used.
      for (mlir::Value input : scan.getInputs())
        if (input.getDefiningOp())
          REQUIRE(recur::dimsOf(input.getType()).getNames().empty());
      found = analysis::Ranges().of(scan.coefficients().getDecays()[0]);
    });
    REQUIRE(found);
    return *found;
  };
  require(decayOf(model("max(g[t])")), 0, 1);
  require(decayOf(model("max(max(g[t]), i[t])")), 0, 1);
  require(decayOf(model("max(e[t])")), 0, kInf);
  require(decayOf(model("min(g[t])")), 0, kInf);
}

namespace {

/// A random function of five values in random intervals: every op on earlier values.
class Expression {
public:
  explicit Expression(unsigned seed) : bits(seed) {
    const double ends[] = {-kInf, -3, -1, 0, 0.5, 1, 2, kInf};
    for (int i = 0; i < 5; ++i) {
      double a = ends[pick(8)], b = ends[pick(8)];
      inputs.push_back({std::min(a, b), std::max(a, b)});
      if (std::isinf(inputs[i].lo) && inputs[i].lo == inputs[i].hi)
        inputs[i] = {0, 0};
    }
    for (int i = 5; i < 13; ++i)
      body += op(i);
  }

  std::string text() const {
    std::string arguments, results, types;
    for (int i = 0; i < 5; ++i) {
      std::ostringstream one;
      one << (i ? ", " : "") << "%v" << i << ": !k {recur.range = #recur.interval<" << number(inputs[i].lo) << ", "
          << number(inputs[i].hi) << ">}";
      arguments += one.str();
    }
    for (int i = 5; i < 13; ++i) {
      results += (i > 5 ? ", %v" : "%v") + std::to_string(i);
      types += i > 5 ? ", !k" : "!k";
    }
    return kAliases + ("func.func @f(" + arguments) + ") -> (" + types +
           ") {\n  %one = arith.constant dense<1.0> : !s\n" + body + "  return " + results + " : " + types + "\n}\n";
  }

  std::vector<reference::Array> arguments() {
    std::vector<reference::Array> all;
    for (Interval input : inputs) {
      auto &array = all.emplace_back(reference::Array::zeros({64}));
      std::uniform_real_distribution<double> inside(std::max(input.lo, -50.0), std::min(input.hi, 50.0));
      for (size_t i = 0; i < array.data.size(); ++i)
        array.data[i] = i == 0 ? std::max(input.lo, -1e3) : i == 1 ? std::min(input.hi, 1e3) : inside(bits);
    }
    return all;
  }

private:
  unsigned pick(unsigned count) { return bits() % count; }
  static std::string number(double x) {
    std::ostringstream text;
    text << std::showpoint << x;
    return std::isinf(x) ? (x < 0 ? "-inf" : "inf") : text.str();
  }

  std::string op(int i) {
    std::string r = "v" + std::to_string(i), x = "%v" + std::to_string(pick(i)), y = "%v" + std::to_string(pick(i));
    const char *ones[] = {"neg", "exp", "expm1", "log", "log1p", "sqrt", "tanh",
                          "sin", "cos", "erf",   "abs", "sign",  "floor"};
    const char *twos[] = {"add", "sub", "mul", "div", "max", "min", "pow", "sub", "add", "mul"};
    switch (pick(6)) {
    case 0:
    case 1:
      return map(r, ones[pick(13)], x, "!k");
    case 2: // x less a maximum with x
      return map(r + "m", "max", x + ", " + y, "!k, !k") + map(r, "sub", x + ", %" + r + "m", "!k, !k");
    case 3: // x + (1 - x) y
      return map(r + "a", "sub", "%one, " + x, "!s, !k") + map(r + "b", "mul", "%" + r + "a, " + y, "!k, !k") +
             map(r, "add", x + ", %" + r + "b", "!k, !k");
    default:
      return map(r, twos[pick(10)], x + ", " + y, "!k, !k");
    }
  }

  std::mt19937 bits;
  std::vector<Interval> inputs;
  std::string body;
};

} // namespace

TEST_CASE("values of random expressions lie in their intervals", "[ranges]") {
  unsigned bounded = 0;
  for (unsigned seed = 0; seed < 400; ++seed) {
    Expression expression(seed);
    std::string text = expression.text();
    auto module = spellings::parse(text);
    auto function = spellings::functionOf(*module);
    auto results = spellings::evaluate(function, expression.arguments());
    analysis::Ranges ranges;
    for (size_t i = 0; i < results.size(); ++i) {
      Interval range = ranges.of(function.getBody().front().getTerminator()->getOperand(i));
      bounded += range.magnitude() < kInf;
      for (double value : results[i].reals()) {
        if (std::isnan(value))
          continue;
        // Rounding of the few operations on the way, relative to their operands, which are below 1e3 or cancel to infinity.
        double slack = 1e-12 * (1 + std::abs(value));
        if (value < range.lo - slack || value > range.hi + slack)
          FAIL("seed " << seed << ": result " << i << " is " << value << ", not in [" << range.lo << ", " << range.hi
                       << "]\n"
                       << text);
      }
    }
  }
  // The intervals say something.
  CHECK(bounded > 500);
}
