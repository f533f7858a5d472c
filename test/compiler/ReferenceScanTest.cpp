// The reference interpreter's scans: small ones worked out by hand, and two cells against straight C++ loops.
#include "test/compiler/InterpretText.h"
#include <cmath>
#include <random>

using namespace rondo::reference;
using Shape = std::vector<int64_t>;

/// s[t] = s[t-1]/2 + x[t] over batch and time, with the given head of the scan op.
static std::string decayingSum(const std::string &params, const std::string &scan) {
  return "func.func @f(" + params + R"() -> (!bt, !b) {
    %y, %s = recur.scan )" +
         scan + R"( {
    ^bb0(%xt: !s, %s: !s):
      %half = arith.constant dense<0.5> : !s
      %d = recur.map mul(%s, %half) : (!s, !s) -> !s
      %n = recur.map add(%d, %xt) : (!s, !s) -> !s
      recur.yield states(%n : !s) outputs(%n : !s)
    } : !bt, !b
    return %y, %s : !bt, !b
  })";
}

static const std::string kForward =
    R"(over [#recur.axis<"t">] states [#recur.state<"s", [[1]]>] inputs(%x : !bt) inits(%s0 : !b))";

TEST_CASE("a scan carries its state, and batch entries are independent") {
  auto results = run(decayingSum("%x: !bt, %s0: !b", kForward),
                     {Array::real({2, 3}, {1, 1, 1, 0, 0, 8}), Array::real({2}, {8, 16})});
  CHECK(results[0].reals() == Numbers{5, 3.5, 2.75, 8, 4, 10});
  CHECK(results[1].reals() == Numbers{2.75, 10});
}

TEST_CASE("no steps: the final state is the initial one") {
  auto results = run(decayingSum("%x: !bt, %s0: !b", kForward), {Array::real({2, 0}, {}), Array::real({2}, {8, 16})});
  CHECK(results[0].shape == Shape{2, 0});
  CHECK(results[1].reals() == Numbers{8, 16});
}

TEST_CASE("a reverse scan starts at the end") {
  auto results =
      run(decayingSum("%x: !bt, %s0: !b", R"(over [#recur.axis<"t", reverse>] states [#recur.state<"s", [[1]]>]
      inputs(%x : !bt) inits(%s0 : !b))"),
          {Array::real({1, 3}, {1, 2, 3}), Array::real({1}, {4})});
  CHECK(results[0].reals() == Numbers{3.25, 4.5, 5});
  CHECK(results[1].reals() == Numbers{3.25});
}

TEST_CASE("a reset forgets the past before its step") {
  std::string text = decayingSum("%x: !bt, %s0: !b, %r: !bti1", kForward + " resets(%r : !bti1)");
  Array x = Array::real({1, 4}, {1, 1, 1, 1}), s0 = Array::real({1}, {2});
  auto results = run(text, {x, s0, Array::real({1, 4}, {0, 0, 1, 0})});
  CHECK(results[0].reals() == Numbers{2, 2, 2, 2}); // a fixed point
  results = run(text, {Array::real({1, 4}, {4, 4, 1, 1}), s0, Array::real({1, 4}, {0, 0, 1, 0})});
  CHECK(results[0].reals() == Numbers{5, 6.5, 2, 2});
}

TEST_CASE("packed sequences are scans of their own, each with its initial state; one may be empty") {
  std::string text = decayingSum("%x: !bt, %s0: !b, %o: tensor<?xi64>", kForward + " offsets(%o : tensor<?xi64>)");
  Array x = Array::real({1, 5}, {1, 1, 1, 1, 1}), s0 = Array::real({3}, {0, 7, 2});
  auto results = run(text, {x, s0, Array::real({4}, {0, 2, 2, 5})});
  CHECK(results[0].reals() == Numbers{1, 1.5, 2, 2, 2});
  CHECK(results[1].reals() == Numbers{1.5, 7, 2});
  CHECK(tryInterpret(text, {x, s0, Array::real({4}, {0, 2, 2, 4})}).second ==
        "offsets of packed sequences must rise from 0 to the number of steps, at batch size 1");
  CHECK(tryInterpret(text, {x, s0, Array::real({3}, {0, 2, 5})}).second == "2 packed sequences have 3 initial values");
}

TEST_CASE("packed and reverse together: each sequence is walked from its own end") {
  auto results = run(decayingSum("%x: !bt, %s0: !b, %o: tensor<?xi64>",
                                 R"(over [#recur.axis<"t", reverse>] states [#recur.state<"s", [[1]]>]
      inputs(%x : !bt) inits(%s0 : !b) offsets(%o : tensor<?xi64>))"),
                     {Array::real({1, 4}, {1, 2, 3, 4}), Array::real({2}, {0, 0}), Array::real({3}, {0, 2, 4})});
  CHECK(results[0].reals() == Numbers{2, 2, 5, 4});
  CHECK(results[1].reals() == Numbers{2, 5});
}

/// s[t] = s[t-1] + 10 s[t-3] + x[t].
static std::string lagThree(const std::string &reads, const std::string &attributes, const std::string &resets) {
  return "func.func @f(%x: !bt, %s0: !bl" + std::string(resets.empty() ? "" : ", %r: !bti1") + ") -> (!bt, !bl) " +
         attributes +
         R"( {
    %y, %s = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", )" +
         reads + R"(>] inputs(%x : !bt) inits(%s0 : !bl))" + resets + R"( {
    ^bb0(%xt: !s, %s1: !s, %s3: !s):
      %ten = arith.constant dense<10.0> : !s
      %a = recur.map mul(%s3, %ten) : (!s, !s) -> !s
      %b = recur.map add(%s1, %a) : (!s, !s) -> !s
      %n = recur.map add(%b, %xt) : (!s, !s) -> !s
      recur.yield states(%n : !s) outputs(%n : !s)
    } : !bt, !bl
    return %y, %s : !bt, !bl
  })";
}

TEST_CASE("a state with lag keeps its slices, oldest first") {
  Array s0 = Array::real({1, 3}, {1, 2, 3});
  auto four = run(lagThree("[[1], [3]]", "", ""), {Array::real({1, 4}, {0, 0, 0, 0}), s0});
  CHECK(four[0].reals() == Numbers{13, 33, 63, 193});
  CHECK(four[1].reals() == Numbers{33, 63, 193});
  auto two = run(lagThree("[[1], [3]]", "", ""), {Array::real({1, 2}, {0, 0}), s0});
  CHECK(two[1].reals() == Numbers{3, 13, 33}); // fewer steps than slices: old ones move up
  auto rest = run(lagThree("[[1], [3]]", "", ""), {Array::real({1, 2}, {0, 0}), two[1]});
  CHECK(rest[0].reals() == Numbers{63, 193}); // a final state continues the sequence
}

TEST_CASE("a symbolic lag is looked up in the function's list") {
  auto results = run(lagThree("[[1], [-1]]", "attributes {recur.lags = [\"p\"]}", ""),
                     {Array::real({1, 2}, {0, 0}), Array::real({1, 3}, {1, 2, 3})}, {{"p", 3}});
  CHECK(results[0].reals() == Numbers{13, 33});
}

TEST_CASE("a reset brings back all slices of a state with lag") {
  auto results =
      run(lagThree("[[1], [3]]", "", " resets(%r : !bti1)"),
          {Array::real({1, 4}, {5, 5, 0, 0}), Array::real({1, 3}, {1, 2, 3}), Array::real({1, 4}, {0, 0, 1, 0})});
  CHECK(results[0].reals() == Numbers{18, 43, 13, 33});
  CHECK(results[1].reals() == Numbers{3, 13, 33});
}

TEST_CASE("two axes: every path through the grid, with the initial value beyond the edges") {
  // h[r, c] = h[r-1, c] + h[r, c-1]: Pascal's triangle.
  std::string text = R"(
    !brc = tensor<?x?x?xf64, #recur.dims<batch, time, time1>>
    !br = tensor<?x?xf64, #recur.dims<batch, time>>
    !bc = tensor<?x?xf64, #recur.dims<batch, time1>>
    func.func @f(%x: !brc, %h0: !b) -> (!brc, !bc, !br) {
      %y, %row, %column = recur.scan over [#recur.axis<"r">, #recur.axis<"c"DIRECTION>] states [#recur.state<"h", [[1, 0], [0, 1]]>]
          inputs(%x : !brc) inits(%h0 : !b) {
      ^bb0(%xt: !s, %up: !s, %left: !s):
        %a = recur.map add(%up, %left) : (!s, !s) -> !s
        %n = recur.map add(%a, %xt) : (!s, !s) -> !s
        recur.yield states(%n : !s) outputs(%n : !s)
      } : !brc, !bc, !br
      return %y, %row, %column : !brc, !bc, !br
    })";
  std::string forward = text, reverse = text;
  forward.replace(forward.find("DIRECTION"), 9, "");
  reverse.replace(reverse.find("DIRECTION"), 9, ", reverse");
  Array x = Array::real({1, 2, 3}, {0, 0, 0, 0, 0, 0}), h0 = Array::real({1}, {1});
  auto results = run(forward, {x, h0});
  CHECK(results[0].reals() == Numbers{2, 3, 4, 3, 6, 10});
  CHECK(results[1].reals() == Numbers{3, 6, 10}); // last row
  CHECK(results[2].reals() == Numbers{4, 10});    // last column
  auto mirrored = run(reverse, {x, h0});
  CHECK(mirrored[0].reals() == Numbers{4, 3, 2, 10, 6, 3});
  CHECK(mirrored[1].reals() == Numbers{10, 6, 3});
  CHECK(mirrored[2].reals() == Numbers{4, 10});
  auto noRows = run(forward, {Array::real({1, 0, 3}, {}), h0});
  CHECK(noRows[1].reals() == Numbers{1, 1, 1});
  CHECK(noRows[2].reals().empty());
}

TEST_CASE("heads share groups, parameters and data without a head axis") {
  std::string text = R"(
    !bth = tensor<?x?x?xf64, #recur.dims<batch, time, head>>
    !btg = tensor<?x?x?xf64, #recur.dims<batch, time, group>>
    !h = tensor<?xf64, #recur.dims<head>>
    !bh = tensor<?x?xf64, #recur.dims<batch, head>>
    func.func @f(%x: !bth, %g: !btg, %shared: !bt, %perHead: !h, %scale: !s, %s0: !h) -> (!bth, !bh) {
      %y, %s = recur.scan over [#recur.axis<"t">] states [#recur.state<"s", [[1]]>]
          inputs(%x, %g, %shared : !bth, !btg, !bt) params(%perHead, %scale : !h, !s) inits(%s0 : !h) {
      ^bb0(%xt: !s, %gt: !s, %at: !s, %p: !s, %c: !s, %s: !s):
        %1 = recur.map add(%xt, %gt) : (!s, !s) -> !s
        %2 = recur.map add(%1, %at) : (!s, !s) -> !s
        %3 = recur.map add(%2, %p) : (!s, !s) -> !s
        %4 = recur.map mul(%3, %c) : (!s, !s) -> !s
        %5 = recur.map add(%4, %s) : (!s, !s) -> !s
        recur.yield states(%5 : !s) outputs(%5 : !s)
      } : !bth, !bh
      return %y, %s : !bth, !bh
    })";
  Array x = Array::real({1, 1, 4}, {1, 2, 3, 4}), g = Array::real({1, 1, 2}, {10, 20}),
        shared = Array::real({1, 1}, {100});
  Array perHead = Array::real({4}, {0.5, 0.25, 0, 0}), scale = Array::real({}, {2}),
        s0 = Array::real({4}, {0, 0, 0, 1000});
  auto results = run(text, {x, g, shared, perHead, scale, s0});
  CHECK(results[0].reals() == Numbers{223, 224.5, 246, 1248});
  CHECK(results[1].shape == Shape{1, 4});
  Array threeGroups = Array::real({1, 1, 3}, {10, 20, 30});
  CHECK(tryInterpret(text, {x, threeGroups, shared, perHead, scale, s0}).second == "4 heads cannot share 3 groups");
}

TEST_CASE("operands of one scan must have equally many steps") {
  std::string text = R"(func.func @f(%x: !bt, %y: !bt) -> !bt {
    %z = recur.scan over [#recur.axis<"t">] inputs(%x, %y : !bt, !bt) {
    ^bb0(%a: !s, %b: !s):
      recur.yield outputs(%a : !s)
    } : !bt
    return %z : !bt
  })";
  CHECK(tryInterpret(text, {Array::real({1, 2}, {1, 2}), Array::real({1, 1}, {1})}).second ==
        "operands of a scan have 2 and 1 elements along 'time'");
}

//===--- cells against straight loops -------------------------------------------------------------------------------===//

namespace {
/// Numbers that do not repeat between runs' failures: a fixed seed.
struct Draw {
  std::mt19937 engine{1};
  Numbers operator()(size_t count) {
    std::normal_distribution<double> normal(0, 0.5);
    Numbers values(count);
    for (double &value : values)
      value = normal(engine);
    return values;
  }
};
} // namespace

/// W x, W row-major with rows of x's length.
static Numbers product(const Numbers &W, const Numbers &x, size_t start = 0) {
  Numbers y;
  for (size_t row = start; (row + 1) * x.size() <= W.size(); ++row) {
    double sum = 0;
    for (size_t i = 0; i < x.size(); ++i)
      sum += W[row * x.size() + i] * x[i];
    y.push_back(sum);
  }
  return y;
}

TEST_CASE("tanh RNN") {
  const int B = 2, T = 7, K = 3, V = 4;
  Draw draw;
  Numbers x = draw(B * T * K), W = draw(V * K), U = draw(V * V), h0 = draw(B * V), expected;
  for (int b = 0; b < B; ++b) {
    Numbers h(h0.begin() + b * V, h0.begin() + (b + 1) * V);
    for (int t = 0; t < T; ++t) {
      Numbers xt(x.begin() + (b * T + t) * K, x.begin() + (b * T + t + 1) * K), Wx = product(W, xt), Uh = product(U, h);
      for (int i = 0; i < V; ++i)
        h[i] = std::tanh(Wx[i] + Uh[i]);
      expected.insert(expected.end(), h.begin(), h.end());
    }
  }
  auto results =
      run(R"(
    !b_v = tensor<?x?xf64, #recur.dims<batch | V>>
    !vv = tensor<?x?xf64, #recur.dims<| V, V>>
    func.func @f(%x: !bt_k, %W: !vk, %U: !vv, %h0: !b_v) -> (!bt_v, !b_v) {
      %y, %h = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>]
          inputs(%x : !bt_k) params(%W, %U : !vk, !vv) inits(%h0 : !b_v) {
      ^bb0(%xt: !k, %Wt: !vk, %Ut: !vv, %h: !v):
        %a = recur.contract "vk,k->v"(%Wt, %xt) : (!vk, !k) -> !v
        %b = recur.contract "vw,w->v"(%Ut, %h) : (!vv, !v) -> !v
        %c = recur.map add(%a, %b) : (!v, !v) -> !v
        %n = recur.map tanh(%c) : (!v) -> !v
        recur.yield states(%n : !v) outputs(%n : !v)
      } : !bt_v, !b_v
      return %y, %h : !bt_v, !b_v
    })",
          {Array::real({B, T, K}, x), Array::real({V, K}, W), Array::real({V, V}, U), Array::real({B, V}, h0)});
  requireClose(results[0], expected);
  Numbers finals(expected.begin() + (T - 1) * V, expected.begin() + T * V);
  finals.insert(finals.end(), expected.end() - V, expected.end());
  requireClose(results[1], finals);
}

static double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

/// IR of `name` = sigmoid(`of`).
static std::string sigmoidOf(const std::string &name, const std::string &of) {
  return name + "n = recur.map neg(" + of + ") : (!v) -> !v\n" + name + "e = recur.map exp(" + name +
         "n) : (!v) -> !v\n" + name + "d = recur.map add(" + name + "e, %one) : (!v, !s) -> !v\n" + name +
         " = recur.map div(%one, " + name + "d) : (!s, !v) -> !v\n";
}

TEST_CASE("LSTM, gates i f z o stacked in one product") {
  const int T = 11, K = 3, V = 2;
  Draw draw;
  Numbers x = draw(T * K), W = draw(4 * V * K), U = draw(4 * V * V), bias = draw(4 * V), h0 = draw(V), c0 = draw(V),
          expected;
  Numbers h = h0, c = c0;
  for (int t = 0; t < T; ++t) {
    Numbers Wx = product(W, Numbers(x.begin() + t * K, x.begin() + (t + 1) * K)), Uh = product(U, h);
    auto gate = [&](int which, int i) { return Wx[which * V + i] + Uh[which * V + i] + bias[which * V + i]; };
    for (int i = 0; i < V; ++i) {
      c[i] = sigmoid(gate(1, i)) * c[i] + sigmoid(gate(0, i)) * std::tanh(gate(2, i));
      h[i] = sigmoid(gate(3, i)) * std::tanh(c[i]);
    }
    expected.insert(expected.end(), h.begin(), h.end());
  }
  auto gate = [](const std::string &name, const std::string &offset) {
    return name + " = recur.slice 0 at \"" + offset + "\" (%g) : (!v4) -> !v\n";
  };
  auto results = run(R"(
    !b_v = tensor<?x?xf64, #recur.dims<batch | V>>
    !v4 = tensor<?xf64, #recur.dims<| "4*V">>
    !v4k = tensor<?x?xf64, #recur.dims<| "4*V", K>>
    !v4v = tensor<?x?xf64, #recur.dims<| "4*V", V>>
    func.func @f(%x: !bt_k, %W: !v4k, %U: !v4v, %bias: !v4, %h0: !b_v, %c0: !b_v) -> (!bt_v, !b_v, !b_v) {
      %y, %hT, %cT = recur.scan over [#recur.axis<"t">] states [#recur.state<"h", [[1]]>, #recur.state<"c", [[1]]>]
          inputs(%x : !bt_k) params(%W, %U, %bias : !v4k, !v4v, !v4) inits(%h0, %c0 : !b_v, !b_v) {
      ^bb0(%xt: !k, %Wt: !v4k, %Ut: !v4v, %bt: !v4, %h: !v, %c: !v):
        %one = arith.constant dense<1.0> : !s
        %wx = recur.contract "gk,k->g"(%Wt, %xt) : (!v4k, !k) -> !v4
        %uh = recur.contract "gv,v->g"(%Ut, %h) : (!v4v, !v) -> !v4
        %sum = recur.map add(%wx, %uh) : (!v4, !v4) -> !v4
        %g = recur.map add(%sum, %bt) : (!v4, !v4) -> !v4
)" + gate("%gi", "0") + gate("%gf", "V") +
                         gate("%gz", "2*V") + gate("%go", "3*V") + sigmoidOf("%i", "%gi") + sigmoidOf("%f", "%gf") +
                         sigmoidOf("%o", "%go") + R"(
        %z = recur.map tanh(%gz) : (!v) -> !v
        %fc = recur.map mul(%f, %c) : (!v, !v) -> !v
        %iz = recur.map mul(%i, %z) : (!v, !v) -> !v
        %cn = recur.map add(%fc, %iz) : (!v, !v) -> !v
        %tc = recur.map tanh(%cn) : (!v) -> !v
        %hn = recur.map mul(%o, %tc) : (!v, !v) -> !v
        recur.yield states(%hn, %cn : !v, !v) outputs(%hn : !v)
      } : !bt_v, !b_v, !b_v
      return %y, %hT, %cT : !bt_v, !b_v, !b_v
    })",
                     {Array::real({1, T, K}, x), Array::real({4 * V, K}, W), Array::real({4 * V, V}, U),
                      Array::real({4 * V}, bias), Array::real({1, V}, h0), Array::real({1, V}, c0)});
  requireClose(results[0], expected);
  requireClose(results[1], h);
  requireClose(results[2], c);
}

TEST_CASE("gated linear attention") {
  const int T = 100, H = 4, K = 20, V = 21;
  Draw draw;
  Numbers q = draw(T * H * K), k = draw(T * H * K), g = draw(T * H * K), v = draw(T * H * V), expected(T * H * V);
  for (int h = 0; h < H; ++h) {
    Numbers S(K * V, 0);
    for (int t = 0; t < T; ++t)
      for (int i = 0; i < K; ++i)
        for (int j = 0; j < V; ++j) {
          size_t key = (t * H + h) * K + i, value = (t * H + h) * V + j;
          S[i * V + j] = std::exp(-std::fabs(g[key])) * S[i * V + j] + k[key] * v[value];
          expected[value] += q[key] * S[i * V + j];
        }
  }
  std::string text = R"(
    !dk = tensor<?x?x?x?xf64, #recur.dims<batch, time, head | K>>
    !dv = tensor<?x?x?x?xf64, #recur.dims<batch, time, head | V>>
    !S = tensor<?x?x?x?xf64, #recur.dims<batch, head | K, V>>
    func.func @f(%q: !dk, %k: !dk, %g: !dk, %v: !dv, %S0: !S) -> (!dv, !S) {
      %y, %s = recur.scan over [#recur.axis<"t">] states [#recur.state<"S", [[1]]>]
          inputs(%q, %k, %g, %v : !dk, !dk, !dk, !dv) inits(%S0 : !S) {
      ^bb0(%qt: !k, %kt: !k, %gt: !k, %vt: !v, %S: !kv):
        %ab = recur.map abs(%gt) : (!k) -> !k
        %ng = recur.map neg(%ab) : (!k) -> !k
        %a = recur.map exp(%ng) : (!k) -> !k
        %d = recur.contract "k,kv->kv"(%a, %S) : (!k, !kv) -> !kv
        %o = recur.contract "k,v->kv"(%kt, %vt) : (!k, !v) -> !kv
        %n = recur.map add(%d, %o) : (!kv, !kv) -> !kv
        %y = recur.contract "k,kv->v"(%qt, %n) : (!k, !kv) -> !v
        recur.yield states(%n : !kv) outputs(%y : !v)
      } : !dv, !S
      return %y, %s : !dv, !S
    })";
  std::vector<Array> args = {Array::real({1, T, H, K}, q), Array::real({1, T, H, K}, k), Array::real({1, T, H, K}, g),
                             Array::real({1, T, H, V}, v), Array::zeros({1, H, K, V})};
  auto results = run(text, args);
  requireClose(results[0], expected);
}
