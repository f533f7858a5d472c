// Sema: what it accepts and what it makes of it. What it refuses is on frontend/errors.md, whose examples ErrorsPageTest.cpp runs; here
// stand the cases that need more than a first line.
#include "Programs.h"
#include "Specs.h"
#include <catch2/catch.hpp>

using namespace rondo;
using namespace rondo::frontend;
using namespace rondo::frontend::test;

static std::string model(const std::string &body, const std::string &head = "model m<K, V>") {
  return head + " {\n" + body + "\n}\n";
}

TEST_CASE("every spec is accepted, in one scan per direction and scope", "[sema]") {
  std::map<std::string, size_t> scans = {{"block", 3}, {"bidirectional", 2}, {"token_shift", 2}};
  for (const auto &[name, text] : specs()) {
    auto checked = check(text);
    INFO(name << "\n" << checked->errors);
    REQUIRE(checked->model);
    CHECK(checked->model->scans.size() == (scans.count(name) ? scans.at(name) : 1));
  }
}

TEST_CASE("the order of equations does not matter", "[sema]") {
  auto checked = check(model("input x: [K]\n  o[t] = 2 * b[t]\n  b[t] = exp(a[t])\n  a[t] = -x[t]\n  output o"));
  REQUIRE(checked->model);
  CHECK(str(checked->value("o").type) == "[K]");
}

TEST_CASE("dimensions are compared as expressions", "[sema]") {
  auto checked = check(model("input x: [2*K + V]\n  a[t] = x[t][0:K + K]\n  b[t] = x[t][2*K:]\n  y[t] = concat(b[t], "
                             "a[t]) * x[t]\n  output y"));
  INFO(checked->errors);
  REQUIRE(checked->model);
  CHECK(str(checked->value("a").type) == "[2*K]");
  CHECK(str(checked->value("b").type) == "[V]");
}

TEST_CASE("a structured matrix beside @ is never stored", "[sema]") {
  auto checked = check(specs().at("delta_product"));
  REQUIRE(checked->model);
  for (const Value &value : checked->model->values) {
    CHECK(value.kind != ValueKind::Identity);
    CHECK(str(value.type.shape) != "[K, K]");
  }
}

TEST_CASE("a structured matrix as a value is stored", "[sema]") {
  auto checked = check(model(
      "input x: [K]\n  state S: [K, K] = 0\n  S[t] = I - 0.5 * S[t-1] + diag(x[t])\n  y[t] = S[t] @ x[t]\n  output y"));
  INFO(checked->errors);
  REQUIRE(checked->model);
  CHECK(str(checked->value("S").type) == "[K, K]");
}

TEST_CASE("reals become complex beside complex numbers", "[sema]") {
  auto checked = check(specs().at("complex_matrix"));
  REQUIRE(checked->model);
  CHECK(checked->value("S").type.elem == Elem::Complex);
  CHECK(checked->value("o").type.elem == Elem::Real);
  const TensorDecl &init = checked->model->tensors[checked->state("S").init];
  CHECK(init.name == "S0");
  CHECK(init.type.elem == Elem::Complex);
}

TEST_CASE("lags: constants, dimensions, inputs", "[sema]") {
  auto skip = check(specs().at("skip"));
  REQUIRE(skip->model);
  CHECK(skip->state("h").reads == std::vector<Read>{{DimExpr::constant(1)}, {DimExpr::symbol("p")}});
  CHECK(!skip->state("h").depth());
  auto shift = check(specs().at("token_shift"));
  REQUIRE(shift->model);
  CHECK(shift->state("x.lag").depth() == 3);
  CHECK(shift->state("x.lag").hidden);
  CHECK(shift->state("x.lead").direction == std::vector<int>{1});
  CHECK(shift->model->scans[shift->state("x.lead").scan].reverse == std::vector<bool>{true});
}

TEST_CASE("intervals, sharing and recurrent params are kept", "[sema]") {
  auto checked = check(specs().at("mamba2"));
  REQUIRE(checked->model);
  const TypedModel &typed = *checked->model;
  CHECK(typed.tensors[1].interval->lo == 0);
  CHECK(typed.tensors[2].sharing == Sharing::PerGroup);
  CHECK(typed.tensors[4].sharing == Sharing::PerHead);
  auto gru = check(specs().at("bidirectional"));
  REQUIRE(gru->model);
  for (const TensorDecl &tensor : gru->model->tensors)
    CHECK(tensor.recurrent == (tensor.name == "U" || tensor.name == "Q"));
  auto negated = check(model("input x: [3]\n  param A: [3, 3]\n  state h: [3] = 0\n  part = transpose(-A)\n"
                             "  h[t] = x[t] + transpose(part) @ h[t-1]\n  output h"));
  REQUIRE(negated->model);
  CHECK(negated->model->tensors[1].recurrent);
}

TEST_CASE("initial values", "[sema]") {
  auto checked = check(model("input x: []\n  state a: [2] = [1, 2]\n  state b: [] = -inf\n  a[t] = a[t-1] * x[t]\n"
                             "  b[t] = max(b[t-1], x[t])\n  y[t] = sum(a[t]) + b[t]\n  output y"));
  REQUIRE(checked->model);
  const auto &tensors = checked->model->tensors;
  CHECK(tensors[checked->state("a").init].defaultValue == std::vector<std::complex<double>>{1, 2});
  CHECK(tensors[checked->state("b").init].defaultValue[0].real() == -INFINITY);
}

TEST_CASE("layers bring their params and states along", "[sema]") {
  auto checked = check(specs().at("layer"));
  REQUIRE(checked->model);
  std::vector<std::string> names;
  for (const TensorDecl &tensor : checked->model->tensors)
    names.push_back(tensor.name);
  CHECK(names == std::vector<std::string>{"x", "a.decay", "a.h0", "b.h0", "b.x.lag", "a.x.lag"});
}

TEST_CASE("imports: own definitions hide imported ones, those hide the library's", "[sema]") {
  std::map<std::string, std::string> files = {
      {"gates.rondo",
       "fn silu(x) = 3 * x\nfn twice(x) = 2 * x\nmodel id<N> {\n  input x: [N]\n  y[t] = x[t]\n  output y\n}\n"}};
  auto checked = check("import \"gates.rondo\"\nfn twice(x) = 5 * x\n" +
                           model("input x: [K]\n  layer f = id<K>(x = silu(twice(x[t])))\n  y[t] = f.y[t]\n  output y"),
                       files);
  INFO(checked->errors);
  REQUIRE(checked->model);
  const Value &y = checked->value("y");
  CHECK(y.fn == MapFn::Mul);
  CHECK(checked->model->value(y.operands[0]).data[0] == 3.0);
  CHECK(checked->model->value(checked->model->value(y.operands[1]).operands[0]).data[0] == 5.0);
}

TEST_CASE("the model is the last one, or the one that is asked for", "[sema]") {
  std::string two = model("input x: [K]\n  y[t] = x[t]\n  output y", "model a<K>") +
                    model("input x: [K]\n  y[t] = x[t]\n  output y", "model b<K>");
  CHECK(check(two)->model->name == "b");
  CHECK(check(two, {}, "a")->model->name == "a");
  CHECK(check(two, {}, "c")->errors.find("no-model") == 0);
}

TEST_CASE("a user's definition hides the library's without changing the library", "[sema]") {
  auto checked =
      check("fn sigmoid(x) = x\n" + model("input x: [K]\n  y[t] = silu(x[t])\n  z[t] = sigmoid(x[t])\n  output y, z"));
  REQUIRE(checked->model);
  CHECK(checked->value("z").kind == ValueKind::Input);
  CHECK(checked->value("y").kind == ValueKind::Map);
}

TEST_CASE("an error inside the library is told in the user's text", "[sema]") {
  auto checked = check(model("input x: [K]\n  input v: [V]\n  y[t] = dot(x[t], v[t]) * x[t]\n  output y"));
  CHECK(checked->errors == "shape-mismatch 4:10 expected shape '[K]' in 'a * b', got '[V]'\n");
}

TEST_CASE("one mistake is one error, and several mistakes are several", "[sema]") {
  auto checked =
      check(model("input x: [N]\n  y[t] = 2 * x[t] + x[t] @ x[t]\n  z[t] = q[t]\n  w[t] = z[t]\n  output y, w"));
  CHECK(checked->diagnostics.errorCount() == 2);
  CHECK(checked->errors.find("unknown-dimension 2:11") == 0);
  CHECK(checked->errors.find("unknown-name 4:10") != std::string::npos);
}

TEST_CASE("a heads scope: scans follow each other, reshapes lie between", "[sema]") {
  auto checked = check(specs().at("block"));
  REQUIRE(checked->model);
  const auto &scans = checked->model->scans;
  REQUIRE(scans.size() == 3);
  CHECK(!scans[0].perHead);
  CHECK(scans[1].perHead);
  CHECK(!scans[2].perHead);
  CHECK(scans[1].inputs.size() == 4);
  for (ValueId id : scans[1].inputs)
    CHECK(checked->model->value(id).kind == ValueKind::Split);
}

TEST_CASE("a state named like a dimension is one error, not a crash", "[sema]") {
  auto checked =
      check(model("input x: [D]\n  init h0: [D]\n  state h: [D] = h0\n  h[t] = x[t]\n  output h", "model m<D, h>"));
  CHECK_FALSE(checked->model);
  CHECK(checked->errors.find("'h'") != std::string::npos);
}
