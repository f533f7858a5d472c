// What the analysis finds in the examples, and that it does not depend on how an equation is spelled. Goes through
// driver::Compiler::inspect, so that it checks what `rondo explain` prints.
#include "compiler/Driver/Compiler.h"
#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

using rondo::driver::Compiler;

namespace {

/// The text behind "NAMES is " in the report of a spec.
std::string familyOf(const std::string &text, const std::string &states) {
  static Compiler compiler;
  auto outcome = compiler.inspect({"spec.rondo", text}, {});
  for (const auto &diagnostic : outcome.diagnostics)
    UNSCOPED_INFO(diagnostic.message);
  UNSCOPED_INFO(text);
  REQUIRE(outcome);
  std::istringstream lines(outcome.value->report);
  const std::string start = "    " + states + " is ";
  for (std::string line; std::getline(lines, line);)
    if (line.rfind(start, 0) == 0)
      return line.substr(start.size());
  return "no state '" + states + "' in:\n" + outcome.value->report;
}

std::string example(const std::string &name) {
  std::ifstream file(std::string(RONDO_SOURCE_DIR) + "/examples/" + name + ".rondo");
  std::ostringstream text;
  text << file.rdbuf();
  REQUIRE(!text.str().empty());
  return text.str();
}

struct Expectation {
  const char *example, *states, *family;
};

} // namespace

TEST_CASE("families of the examples", "[analysis]") {
  const Expectation expected[] = {
      {"linear_attention", "S", "expand, decay none, 1 outer product in, time-invariant"},
      {"linear_attention", "z", "linear, time-invariant"},
      {"retnet", "S", "expand, decay scalar, 1 outer product in, time-invariant"},
      {"gla", "S", "expand, decay along the first axis, 1 outer product in"},
      {"hgrn2", "S", "expand, decay along the first axis, 1 outer product in"},
      {"rwkv6", "S", "expand, decay along the first axis, 1 outer product in"},
      {"mamba2", "S", "expand, decay scalar, 1 outer product in"},
      {"gateloop", "S", "complex expand, decay along the first axis, 1 outer product in"},
      {"gsa", "KS", "expand, decay along the first axis, 1 outer product in"},
      {"gsa", "VS", "expand, decay along the first axis, 1 outer product in"},
      {"selective_scan", "h", "expand, decay elementwise, 1 outer product in"},
      {"mlstm", "m", "max-plus"},
      {"mlstm", "C", "expand, decay scalar, 1 outer product in"},
      {"mlstm", "n", "linear"},
      {"deltanet", "S", "delta, decay none, 1 outer product in, transition of rank 1"},
      {"gated_delta_net", "S", "delta, decay scalar, 1 outer product in, transition of rank 1"},
      {"rwkv7", "S", "delta, decay along the first axis, 1 outer product in, transition of rank 1"},
      {"kda", "S", "delta, decay along the first axis, 1 outer product in, transition of rank 1"},
      {"min_gru", "h", "linear"},
      {"min_lstm", "h", "linear"},
      {"lru", "h", "complex linear, time-invariant"},
      {"s5", "x", "complex linear, time-invariant"},
      {"rwkv4", "num", "linear"},
      {"lsrl_mod_counter", "s", "dense linear, time-invariant: the transition mixes the elements of the state"},
      {"short_convolution", "x.lag", "delay"},
  };
  for (const Expectation &one : expected) {
    INFO(one.example);
    CHECK(familyOf(example(one.example), one.states) == one.family);
  }
}

TEST_CASE("a cell names the operation that is not linear, with its place", "[analysis]") {
  const char *text = "model m<H> {\n  param U: [H, H]\n  input x: [H]\n  state h: [H] = 0\n"
                     "  h[t] = tanh(x[t] + U @ h[t-1])\n  output h\n}\n";
  CHECK(familyOf(text, "h") == "cell: not linear in its states because of tanh at 5:10");
}

TEST_CASE("spellings of one elementwise recurrence are one family", "[analysis]") {
  const char *updates[] = {
      "(1 - z[t]) * h[t-1] + z[t] * x[t]",     "h[t-1] + z[t] * (x[t] - h[t-1])",
      "z[t] * x[t] + h[t-1] - z[t] * h[t-1]",  "h[t-1] - z[t] * (h[t-1] - x[t])",
      "diag(1 - z[t]) @ h[t-1] + z[t] * x[t]", "(I - diag(z[t])) @ h[t-1] + x[t] * z[t]",
      "h[t-1] @ diag(1 - z[t]) + z[t] * x[t]", "-(z[t] - 1) * h[t-1] + z[t] * x[t]",
      "z[t] * x[t] + h[t-1] * (1 - z[t])",     "(h[t-1] / 2 - z[t] * h[t-1] / 2) * 2 + z[t] * x[t]",
  };
  for (const char *update : updates) {
    std::string text = "model m<D> {\n  input x: [D]\n  input z: [D] in [0, 1]\n  state h: [D] = 0\n  h[t] = ";
    CHECK(familyOf(text + update + "\n  output h\n}\n", "h") == "linear");
  }
}

TEST_CASE("spellings of one delta rule are one family", "[analysis]") {
  const char *updates[] = {
      "(I - b[t] * outer(k[t], k[t])) @ S[t-1] + b[t] * outer(k[t], v[t])",
      "S[t-1] - b[t] * outer(k[t], k[t]) @ S[t-1] + outer(b[t] * k[t], v[t])",
      "S[t-1] - outer(k[t], k[t] @ S[t-1]) * b[t] + outer(k[t], b[t] * v[t])",
      "S[t-1] + outer(b[t] * k[t], v[t]) - outer(b[t] * k[t], k[t] @ S[t-1])",
      "outer(k[t], v[t]) * b[t] + (I - outer(b[t] * k[t], k[t])) @ S[t-1]",
      "S[t-1] - (outer(k[t], k[t]) * b[t]) @ S[t-1] + b[t] * outer(k[t], v[t])",
      "(I + outer(k[t], -b[t] * k[t])) @ S[t-1] + b[t] * outer(k[t], v[t])",
      "-((b[t] * outer(k[t], k[t]) - I) @ S[t-1]) + b[t] * outer(k[t], v[t])",
      "I @ S[t-1] - b[t] * (outer(k[t], k[t]) @ S[t-1]) - b[t] * outer(-k[t], v[t])",
      "S[t-1] - outer(k[t], (b[t] * k[t]) @ S[t-1]) + b[t] * outer(k[t], v[t])",
  };
  for (const char *update : updates) {
    std::string text =
        "model m<K, V> {\n  input q, k: [K]\n  input v: [V]\n  input b: []\n  state S: [K, V] = 0\n  S[t] = ";
    CHECK(familyOf(text + update + "\n  o[t] = q[t] @ S[t]\n  output o\n}\n", "S") ==
          "delta, decay none, 1 outer product in, transition of rank 1");
  }
}

TEST_CASE("a dense transition is not taken for a delta rule", "[analysis]") {
  const char *text = "model m<K, V> {\n  input A: [K, K]\n  input k: [K]\n  input v: [V]\n  state S: [K, V] = 0\n"
                     "  S[t] = A[t] @ S[t-1] + outer(k[t], v[t])\n  output S\n}\n";
  CHECK(familyOf(text, "S") == "dense linear: the transition is no sum of a diagonal and outer products");
}
