// The reference interpreter, op by op, against numbers worked out by hand.
#include "test/compiler/InterpretText.h"
#include <cmath>

using namespace rondo::reference;
using Shape = std::vector<int64_t>;

static const double kInf = INFINITY;

/// fn of real vectors over [K].
static Numbers mapReal(const std::string &fn, const std::vector<Numbers> &operands) {
  std::string params, names, types;
  std::vector<Array> args;
  for (const Numbers &operand : operands) {
    std::string name = "%x" + std::to_string(args.size()), comma = args.empty() ? "" : ", ";
    params += comma + name + ": !k";
    names += comma + name;
    types += comma + "!k";
    args.push_back(Array::real({int64_t(operand.size())}, operand));
  }
  bool truth = fn == "lt" || fn == "le" || fn == "eq" || fn == "ne";
  std::string type = truth ? "!ki1" : "!k";
  return run("func.func @f(" + params + ") -> " + type + " { %y = recur.map " + fn + "(" + names + ") : (" + types +
                 ") -> " + type + " return %y : " + type + " }",
             args)[0]
      .reals();
}

TEST_CASE("real functions of one value") {
  CHECK(mapReal("neg", {{1, -2}}) == Numbers{-1, 2});
  CHECK(mapReal("exp", {{0, 1, -kInf}}) == Numbers{1, M_E, 0});
  CHECK(mapReal("expm1", {{0, 1e-20}}) == Numbers{0, 1e-20});
  CHECK(mapReal("log", {{1, 0}}) == Numbers{0, -kInf});
  CHECK(mapReal("log1p", {{0, 1e-20}}) == Numbers{0, 1e-20});
  CHECK(mapReal("sqrt", {{4, 2}}) == Numbers{2, M_SQRT2});
  CHECK(mapReal("tanh", {{0, kInf}}) == Numbers{0, 1});
  CHECK(mapReal("sin", {{0}}) == Numbers{0});
  CHECK(mapReal("cos", {{0}}) == Numbers{1});
  CHECK(mapReal("erf", {{0, kInf}}) == Numbers{0, 1});
  CHECK(mapReal("abs", {{-3, 3}}) == Numbers{3, 3});
  CHECK(mapReal("sign", {{-3, 0, 3}}) == Numbers{-1, 0, 1});
  CHECK(mapReal("floor", {{-1.5, 1.5}}) == Numbers{-2, 1});
  CHECK(mapReal("real", {{2}}) == Numbers{2});
  CHECK(mapReal("imag", {{2}}) == Numbers{0});
  CHECK(mapReal("conj", {{2}}) == Numbers{2});
}

TEST_CASE("real functions of two values") {
  CHECK(mapReal("add", {{1, 2}, {3, 4}}) == Numbers{4, 6});
  CHECK(mapReal("sub", {{1, 2}, {3, 5}}) == Numbers{-2, -3});
  CHECK(mapReal("mul", {{1, 2}, {3, 4}}) == Numbers{3, 8});
  CHECK(mapReal("div", {{1, 2}, {4, 4}}) == Numbers{0.25, 0.5});
  CHECK(mapReal("max", {{1, -kInf}, {0, 4}}) == Numbers{1, 4});
  CHECK(mapReal("min", {{1, -kInf}, {0, 4}}) == Numbers{0, -kInf});
  CHECK(std::isnan(mapReal("max", {{NAN}, {1}})[0]));
  CHECK(std::isnan(mapReal("min", {{1}, {NAN}})[0]));
  CHECK(mapReal("pow", {{2, 9}, {10, 0.5}}) == Numbers{1024, 3});
  CHECK(mapReal("lt", {{1, 2, NAN}, {2, 2, 2}}) == Numbers{1, 0, 0});
  CHECK(mapReal("le", {{1, 2, 3}, {2, 2, 2}}) == Numbers{1, 1, 0});
  CHECK(mapReal("eq", {{1, 2}, {2, 2}}) == Numbers{0, 1});
  CHECK(mapReal("ne", {{1, 2}, {2, 2}}) == Numbers{1, 0});
}

TEST_CASE("truth values, and select with a scalar") {
  auto results = run(R"(func.func @f(%x: !k, %y: !k) -> (!k, !ki1, !ki1, !ki1) {
    %zero = arith.constant dense<0.0> : !s
    %a = recur.map lt(%x, %zero) : (!k, !s) -> !ki1
    %b = recur.map lt(%y, %zero) : (!k, !s) -> !ki1
    %and = recur.map and(%a, %b) : (!ki1, !ki1) -> !ki1
    %or = recur.map or(%a, %b) : (!ki1, !ki1) -> !ki1
    %not = recur.map not(%a) : (!ki1) -> !ki1
    %pick = recur.map select(%a, %y, %zero) : (!ki1, !k, !s) -> !k
    return %pick, %and, %or, %not : !k, !ki1, !ki1, !ki1
  })",
                     {Array::real({4}, {-1, -1, 1, 1}), Array::real({4}, {-2, 2, -2, 2})});
  CHECK(results[0].reals() == Numbers{-2, 2, 0, 0});
  CHECK(results[1].reals() == Numbers{1, 0, 0, 0});
  CHECK(results[2].reals() == Numbers{1, 1, 1, 0});
  CHECK(results[3].reals() == Numbers{0, 0, 1, 1});
}

TEST_CASE("complex arithmetic") {
  auto results = run(R"(func.func @f(%re: !k, %im: !k) -> (!kc, !k, !kc, !kc, !kc) {
    %two = arith.constant dense<(2.0, 0.0)> : !c
    %z = recur.map complex(%re, %im) : (!k, !k) -> !kc
    %abs = recur.map abs(%z) : (!kc) -> !k
    %conj = recur.map conj(%z) : (!kc) -> !kc
    %square = recur.map pow(%z, %two) : (!kc, !c) -> !kc
    %one = recur.map div(%z, %z) : (!kc, !kc) -> !kc
    return %z, %abs, %conj, %square, %one : !kc, !k, !kc, !kc, !kc
  })",
                     {Array::real({1}, {3}), Array::real({1}, {4})});
  CHECK(results[0].isComplex);
  CHECK(results[0].data[0] == Complex(3, 4));
  CHECK(results[1].data[0] == Complex(5));
  CHECK_FALSE(results[1].isComplex);
  CHECK(results[2].data[0] == Complex(3, -4));
  CHECK(results[3].data[0] == Complex(-7, 24));
  CHECK(results[4].data[0] == Complex(1));
}

TEST_CASE("contractions") {
  Array A = Array::real({2, 3}, {1, 2, 3, 4, 5, 6}), k = Array::real({2}, {10, 100}), v = Array::real({3}, {1, 0, -1});
  auto contract = [&](const std::string &spec, const std::string &types, const std::string &result,
                      std::vector<Array> args) {
    std::string params = args.size() == 1 ? "%a: " + types : "", names = args.size() == 1 ? "%a" : "%a, %b";
    if (args.size() == 2)
      params = "%a: " + types.substr(0, types.find(',')) + ", %b: " + types.substr(types.find(',') + 1);
    return run("func.func @f(" + params + ") -> " + result + " { %y = recur.contract \"" + spec + "\"(" + names +
                   ") : (" + types + ") -> " + result + " return %y : " + result + " }",
               args)[0];
  };
  CHECK(contract("kv,v->k", "!kv, !v", "!k", {A, v}).reals() == Numbers{-2, -2});
  CHECK(contract("k,kv->v", "!k, !kv", "!v", {k, A}).reals() == Numbers{410, 520, 630});
  CHECK(contract("k,v->kv", "!k, !v", "!kv", {k, v}).reals() == Numbers{10, 0, -10, 100, 0, -100});
  CHECK(contract("k,k->", "!k, !k", "!s", {k, k}).reals() == Numbers{10100});
  CHECK(contract("k,kv->kv", "!k, !kv", "!kv", {k, A}).reals() == Numbers{10, 20, 30, 400, 500, 600});
  CHECK(contract("kv->vk", "!kv", "!vk", {A}).reals() == Numbers{1, 4, 2, 5, 3, 6});
  CHECK(contract("kv->", "!kv", "!s", {A}).reals() == Numbers{21});
  CHECK(contract("aa->a", "!kk", "!k", {Array::real({2, 2}, {1, 2, 3, 4})}).reals() == Numbers{1, 4});
}

TEST_CASE("a contraction of complex values multiplies as complex numbers do") {
  Array z{{2}, true, {Complex(0, 1), Complex(2, 0)}};
  auto results = run(R"(func.func @f(%z: !kc) -> !c {
    %y = recur.contract "k,k->"(%z, %z) : (!kc, !kc) -> !c
    return %y : !c
  })",
                     {z});
  CHECK(results[0].data[0] == Complex(3));
}

TEST_CASE("reductions, also over nothing") {
  std::string text = R"(func.func @f(%x: !kv) -> (!k, !v, !s, !k) {
    %sum = recur.reduce sum [1] (%x) : (!kv) -> !k
    %prod = recur.reduce prod [0] (%x) : (!kv) -> !v
    %max = recur.reduce max [0, 1] (%x) : (!kv) -> !s
    %min = recur.reduce min [1] (%x) : (!kv) -> !k
    return %sum, %prod, %max, %min : !k, !v, !s, !k
  })";
  auto results = run(text, {Array::real({2, 3}, {1, 2, 3, 4, 5, 6})});
  CHECK(results[0].reals() == Numbers{6, 15});
  CHECK(results[1].reals() == Numbers{4, 10, 18});
  CHECK(results[2].reals() == Numbers{6});
  CHECK(results[3].reals() == Numbers{1, 4});
  auto empty = run(text, {Array::real({2, 0}, {})});
  CHECK(empty[0].reals() == Numbers{0, 0});
  CHECK(empty[2].reals() == Numbers{-kInf});
  CHECK(empty[3].reals() == Numbers{kInf, kInf});
}

TEST_CASE("broadcast, slice and concat") {
  auto results = run(R"(func.func @f(%x: !k, %v: !v) -> (!kv, !kv, !v, !s, tensor<?xf64, #recur.dims<| "K+V">>) {
    %columns = recur.broadcast [1] (%x) : (!k) -> !kv
    %rows = recur.broadcast [0] (%v) : (!v) -> !kv
    %both = recur.concat 0 (%x, %v) : (!k, !v) -> tensor<?xf64, #recur.dims<| "K+V">>
    %tail = recur.slice 0 at "K" (%both) : (tensor<?xf64, #recur.dims<| "K+V">>) -> !v
    %second = recur.slice 0 at "1" drop (%x) : (!k) -> !s
    return %columns, %rows, %tail, %second, %both : !kv, !kv, !v, !s, tensor<?xf64, #recur.dims<| "K+V">>
  })",
                     {Array::real({2}, {1, 2}), Array::real({3}, {7, 8, 9})});
  CHECK(results[0].shape == Shape{2, 3});
  CHECK(results[0].reals() == Numbers{1, 1, 1, 2, 2, 2});
  CHECK(results[1].reals() == Numbers{7, 8, 9, 7, 8, 9});
  CHECK(results[2].reals() == Numbers{7, 8, 9});
  CHECK(results[3].reals() == Numbers{2});
  CHECK(results[4].reals() == Numbers{1, 2, 7, 8, 9});
}

TEST_CASE("matrices are put together along their second axis") {
  auto results = run(R"(func.func @f(%x: !kv, %y: !kk) -> tensor<?x?xf64, #recur.dims<| K, "K+V">> {
    %z = recur.concat 1 (%x, %y) : (!kv, !kk) -> tensor<?x?xf64, #recur.dims<| K, "K+V">>
    return %z : tensor<?x?xf64, #recur.dims<| K, "K+V">>
  })",
                     {Array::real({2, 1}, {1, 2}), Array::real({2, 2}, {3, 4, 5, 6})});
  CHECK(results[0].reals() == Numbers{1, 3, 4, 2, 5, 6});
}

TEST_CASE("reshape splits and merges heads, in row-major order") {
  auto results = run(R"(func.func @f(%x: tensor<?x?x?xf64, #recur.dims<batch, time | "H*K">>, %k: !k)
      -> (tensor<?x?x?x?xf64, #recur.dims<batch, time, head | K>>, tensor<?x?x?xf64, #recur.dims<batch, time | "H*K">>)
      attributes {recur.head_count = "H"} {
    %y = recur.reshape(%x) : (tensor<?x?x?xf64, #recur.dims<batch, time | "H*K">>)
      -> tensor<?x?x?x?xf64, #recur.dims<batch, time, head | K>>
    %z = recur.reshape(%y) : (tensor<?x?x?x?xf64, #recur.dims<batch, time, head | K>>)
      -> tensor<?x?x?xf64, #recur.dims<batch, time | "H*K">>
    return %y, %z : tensor<?x?x?x?xf64, #recur.dims<batch, time, head | K>>, tensor<?x?x?xf64, #recur.dims<batch, time | "H*K">>
  })",
                     {Array::real({1, 2, 6}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}), Array::real({3}, {0, 0, 0})});
  CHECK(results[0].shape == Shape{1, 2, 2, 3});
  CHECK(results[1].shape == Shape{1, 2, 6});
  CHECK(results[0].data == results[1].data);
}

TEST_CASE("casts, the identity and literal arrays") {
  auto results = run(
      R"(func.func @f(%x: !k) -> (!kc, !kk, tensor<2x2xf64, #recur.dims<| "2", "2">>, tensor<2xf64, #recur.dims<| "2">>) {
    %z = recur.cast(%x) : (!k) -> !kc
    %I = recur.identity : !kk
    %A = arith.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf64, #recur.dims<| "2", "2">>
    %ones = arith.constant dense<1.0> : tensor<2xf64, #recur.dims<| "2">>
    return %z, %I, %A, %ones : !kc, !kk, tensor<2x2xf64, #recur.dims<| "2", "2">>, tensor<2xf64, #recur.dims<| "2">>
  })",
      {Array::real({2}, {1, 2})});
  CHECK(results[0].isComplex);
  CHECK(results[0].reals() == Numbers{1, 2});
  CHECK(results[1].reals() == Numbers{1, 0, 0, 1});
  CHECK(results[2].reals() == Numbers{1, 2, 3, 4});
  CHECK(results[3].reals() == Numbers{1, 1});
}

TEST_CASE("element types are ignored: bf16 IR is computed in double") {
  auto results = run(R"(func.func @f(%x: tensor<?xbf16, #recur.dims<| K>>) -> tensor<?xf32, #recur.dims<| K>> {
    %y = recur.cast(%x) : (tensor<?xbf16, #recur.dims<| K>>) -> tensor<?xf32, #recur.dims<| K>>
    return %y : tensor<?xf32, #recur.dims<| K>>
  })",
                     {Array::real({1}, {0.1})});
  CHECK(results[0].reals() == Numbers{0.1});
}

TEST_CASE("with a kernel's roundings, what one op hands to another in 16 bits is rounded") {
  const std::string text =
      R"(func.func @f(%x: !k) -> (tensor<?xf32, #recur.dims<| K>>, tensor<?xbf16, #recur.dims<| K>>) {
    %handed = recur.cast(%x) : (!k) -> tensor<?xbf16, #recur.dims<| K>>
    %y = recur.cast(%handed) : (tensor<?xbf16, #recur.dims<| K>>) -> tensor<?xf32, #recur.dims<| K>>
    %result = recur.cast(%x) : (!k) -> tensor<?xbf16, #recur.dims<| K>>
    return %y, %result : tensor<?xf32, #recur.dims<| K>>, tensor<?xbf16, #recur.dims<| K>>
  })";
  const Array x = Array::real({2}, {1 + 0x1p-9, 1 + 0x1p-7});
  const auto [results, error] = tryInterpret(text, {x}, {}, Rounding{8, -133});
  REQUIRE(error == "");
  CHECK(results[0].reals() == Numbers{1, 1 + 0x1p-7}); // the largest distance that rounding makes, and none
  CHECK(results[1].reals() == x.reals());              // whoever compares rounds results
  CHECK(run(text, {x})[0].reals() == x.reals());
}

TEST_CASE("with a kernel's roundings, scores and the values that they are applied to are rounded where the two meet") {
  const std::string text = R"(!rows = tensor<4x1xf32, #recur.dims<time | "1">>
  !scores = tensor<4x4xf32, #recur.dims<time, source>>
  func.func @f(%A: !scores, %v: !rows, %b: !rows) -> (!rows, !rows) {
    %y = chunk.apply(%A, %v, %b) : !scores, !rows
    %z = chunk.apply(%A, %v, %b) transposed : !scores, !rows
    return %y, %z : !rows, !rows
  })";
  const double above = 1 + 0x1p-9;
  Numbers scores(16, 0);
  scores[3 * 4 + 0] = above; // the pair of the steps 3 and 0, which meet at 2
  const std::vector<Array> args = {Array::real({4, 4}, scores), Array::real({4, 1}, {1, 0, 0, 1}),
                                   Array::real({4, 1}, {1, above, above, 1})};
  const auto [results, error] = tryInterpret(text, args, {}, Rounding{8, -133});
  REQUIRE(error == "");
  CHECK(results[0].reals() == Numbers{0, 0, 0, above}); // the decay of step 2 comes behind the product
  CHECK(results[1].reals() == Numbers{above, 0, 0, 0}); // that of step 1 does
  CHECK(run(text, args)[0].reals() == Numbers{0, 0, 0, above * above * above});
}

TEST_CASE("sizes that disagree are named") {
  std::string text =
      R"(func.func @f(%x: !k {recur.name = "x"}, %y: !k {recur.name = "y"}, %z: tensor<?xf64, #recur.dims<| "2*K">>) -> !k {
    return %x : !k
  })";
  Array two = Array::real({2}, {1, 2}), three = Array::real({3}, {1, 2, 3}), four = Array::real({4}, {1, 2, 3, 4});
  CHECK(tryInterpret(text, {two, two, four}).second == "");
  CHECK(tryInterpret(text, {two, three, four}).second == "'y': expected size 2 for 'K', got 3");
  CHECK(tryInterpret(text, {two, two, three}).second == "argument 2: expected size 4 for '2*K', got 3");
  CHECK(tryInterpret(text, {two, two}).second == "'f' takes 3 arguments, got 2");
  CHECK(tryInterpret(text, {two, two, Array::real({2, 1}, {1, 2})}).second == "argument 2: got an array with 2 axes");
}

TEST_CASE("a dimension that no argument shows is given by name, or its lack is reported") {
  std::string text = "func.func @f() -> !kk { %I = recur.identity : !kk return %I : !kk }";
  CHECK(run(text, {}, {{"K", 1}})[0].reals() == Numbers{1});
  CHECK(tryInterpret(text, {}).second == "the size of 'K' is not known");
}
