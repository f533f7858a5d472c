// The oracle against published numbers: what the reference interpreter and the CPU kernels compute for examples/ is
// compared with numbers that others published, never with our own kernels. ONNX's node tests speak for the gated
// cells, the definitions of LSRL, worked out by hand, for the linear states and the rectified gates. Where the
// numbers come from stands in the JSON files' provenance.
#include "test/oracle/Numbers.h"
#include <catch2/catch.hpp>
#include <cmath>

using namespace rondo;
using namespace rondo::oracle;

namespace {

/// What a case is run on. The reference interpreter computes in f64 whatever the tensors' type is.
struct Back {
  const char *target;
  DType type;
};
const Back backs[] = {{"reference", DType::F64}, {"cpu", DType::F64}, {"cpu", DType::F32}};

/// Allowed error of one number, relative to max(1, |expected|). Published numbers are numpy's float32 results: up to
/// three steps, each a sum of at most 12 products through sigmoid and tanh, whose slopes are at most one. A float32
/// sum of n products is off by at most n ulp of its largest partial sum, and where that sum is larger than one the
/// slope is small; 16 units of 2^-24 cover both sides' rounding (a float64 evaluation of the same cases is within 1.3
/// units of what was published). Computed numbers are float64 over five steps: float32 kernels get the same 16 units,
/// float64 ones 64 units of 2^-53, for the order of sums and a few ulp of exp and tanh.
double tolerance(const Case &c, DType type) {
  if (c.origin == "published" || type == DType::F32)
    return 16 * std::ldexp(1.0, -24);
  return 64 * std::ldexp(1.0, -53);
}

/// Fails with the tensor's name and the largest deviation when `got` is not `expected`.
void requireClose(const std::string &what, const Array &got, const Array &expected, double tolerance) {
  INFO(what);
  REQUIRE(got.shape == expected.shape);
  double worst = 0;
  for (size_t i = 0; i < got.data.size(); ++i) {
    double error = std::abs(got.data[i] - expected.data[i]) / std::max(1.0, std::abs(expected.data[i]));
    worst = std::isnan(error) ? INFINITY : std::max(worst, error);
  }
  INFO("largest error " << worst << ", allowed " << tolerance);
  CHECK(worst <= tolerance);
}

/// The results of one direction in our layout: the sequence [B, T, H] and the final states [B, H].
struct Direction {
  Array sequence, h, c;
};

/// Adds `names[g]` = rows g of an ONNX weight, for every gate.
void addGates(Tensors &tensors, const Array &weight, int64_t gates, const std::vector<std::string> &names) {
  for (int64_t g = 0; g < gates; ++g)
    tensors[names[g]] = rows(weight, g * weight.shape[0] / gates, weight.shape[0] / gates);
}

Tensors lstmWeights(const Case &c, int64_t direction, const std::vector<std::string> &w,
                    const std::vector<std::string> &u, const std::vector<std::string> &b) {
  Tensors tensors;
  addGates(tensors, c.weight("W", direction), 4, w);
  addGates(tensors, c.weight("R", direction), 4, u);
  Array bias = c.weightOrZero("B", direction, {8 * c.hidden});
  addGates(tensors, add(rows(bias, 0, 4 * c.hidden), rows(bias, 4 * c.hidden, 4 * c.hidden)), 4, b);
  return tensors;
}

/// Runs one direction of an LSTM case; examples/lstm.rondo has peepholes, and zero ones are none.
Direction runLstm(const Case &c, int64_t direction, bool reversed, const Back &back) {
  Tensors tensors =
      lstmWeights(c, direction, {"Wi", "Wo", "Wf", "Wz"}, {"Ui", "Uo", "Uf", "Uz"}, {"bi", "bo", "bf", "bz"});
  addGates(tensors, c.weightOrZero("P", direction, {3 * c.hidden}), 3, {"qi", "qo", "qf"});
  Array x = c.input();
  tensors["x"] = reversed ? flipTime(x) : x;
  tensors["h0"] = c.initial("initial_h", direction);
  tensors["c0"] = c.initial("initial_c", direction);
  Tensors out = run("lstm", {{"D", x.shape[2]}, {"H", c.hidden}}, tensors, {"h", "c"}, {"h"}, back.target, back.type);
  return {reversed ? flipTime(out["output h"]) : out["output h"], out["h"], out["c"]};
}

Direction runGru(const Case &c, int64_t direction, bool reversed, const Back &back) {
  Tensors tensors;
  addGates(tensors, c.weight("W", direction), 3, {"Wz", "Wr", "Wn"});
  addGates(tensors, c.weight("R", direction), 3, {"Uz", "Ur", "Un"});
  Array bias = c.weightOrZero("B", direction, {6 * c.hidden});
  Array input = rows(bias, 0, 3 * c.hidden), recurrent = rows(bias, 3 * c.hidden, 3 * c.hidden);
  addGates(tensors, add(input, recurrent), 3, {"bz", "br", "bn"});
  if (c.resetAfter) { // the candidate's recurrent bias stays inside the reset gate's product
    tensors["bn"] = rows(input, 2 * c.hidden, c.hidden);
    tensors["cn"] = rows(recurrent, 2 * c.hidden, c.hidden);
  }
  Array x = c.input();
  tensors["x"] = reversed ? flipTime(x) : x;
  tensors["h0"] = c.initial("initial_h", direction);
  Tensors out = run(c.resetAfter ? "gru" : "gru_reset_before", {{"D", x.shape[2]}, {"H", c.hidden}}, tensors, {"h"},
                    {"h"}, back.target, back.type);
  return {reversed ? flipTime(out["output h"]) : out["output h"], out["h"], {}};
}

Direction runRnn(const Case &c, int64_t direction, bool reversed, const Back &back) {
  Tensors tensors;
  tensors["W"] = c.weight("W", direction);
  tensors["U"] = c.weight("R", direction);
  Array bias = c.weightOrZero("B", direction, {2 * c.hidden});
  tensors["b"] = add(rows(bias, 0, c.hidden), rows(bias, c.hidden, c.hidden));
  Array x = c.input();
  tensors["x"] = reversed ? flipTime(x) : x;
  tensors["h0"] = c.initial("initial_h", direction);
  Tensors out = run("tanh_rnn", {{"D", x.shape[2]}, {"H", c.hidden}}, tensors, {"h"}, {"h"}, back.target, back.type);
  return {reversed ? flipTime(out["output h"]) : out["output h"], out["h"], {}};
}

/// Compares every output that the case publishes with the directions' results.
void compare(const Case &c, const std::vector<Direction> &directions, const Back &back) {
  double allowed = tolerance(c, back.type);
  for (size_t d = 0; d < directions.size(); ++d) {
    std::string side = "direction " + std::to_string(d);
    if (c.outputs.count("Y"))
      requireClose("Y, " + side, directions[d].sequence, c.expectedSequence(d), allowed);
    if (c.outputs.count("Y_h"))
      requireClose("Y_h, " + side, directions[d].h, c.expectedFinal("Y_h", d), allowed);
    if (c.outputs.count("Y_c"))
      requireClose("Y_c, " + side, directions[d].c, c.expectedFinal("Y_c", d), allowed);
  }
}

template <typename Run> void checkFile(const std::string &file, Run runDirection) {
  for (const Case &c : loadOnnx(file))
    for (const Back &back : backs)
      DYNAMIC_SECTION(c.name << " (" << c.origin << ") on " << back.target << " " << nameOf(back.type)) {
        std::vector<Direction> directions;
        for (int64_t d = 0; d < c.directions(); ++d)
          directions.push_back(runDirection(c, d, d == 1 || c.direction == "reverse", back));
        compare(c, directions, back);
      }
}

} // namespace

// Asserts: the sequence and the final states of examples/lstm.rondo are ONNX's, with peepholes, initial states and
// biases, the gates in their right places (the random cases), backwards in time and in both directions.
TEST_CASE("LSTM agrees with the ONNX operator's node tests", "[oracle][onnx]") { checkFile("onnx_lstm.json", runLstm); }

// Asserts: both forms of the reset gate, gru_reset_before (the default) and gru (linear_before_reset = 1).
TEST_CASE("GRU agrees with the ONNX operator's node tests", "[oracle][onnx]") { checkFile("onnx_gru.json", runGru); }

TEST_CASE("the plain recurrent network agrees with the ONNX operator's node tests", "[oracle][onnx]") {
  checkFile("onnx_rnn.json", runRnn);
}

// Asserts: one spec with a reversed scan (g[t+1]) gives both directions of ONNX's bidirectional LSTM at once,
// concatenated, and the reversed direction's final state is the one at t = 0.
TEST_CASE("bidirectional LSTM as one spec agrees with ONNX", "[oracle][onnx]") {
  for (const Case &c : loadOnnx("onnx_lstm.json")) {
    if (c.directions() != 2 || c.inputs.count("P"))
      continue;
    for (const Back &back : backs)
      DYNAMIC_SECTION(c.name << " (" << c.origin << ") on " << back.target << " " << nameOf(back.type)) {
        Tensors tensors =
            lstmWeights(c, 0, {"Wi", "Wo", "Wf", "Wz"}, {"Ui", "Uo", "Uf", "Uz"}, {"bi", "bo", "bf", "bz"});
        tensors.merge(lstmWeights(c, 1, {"Vi", "Vo", "Vf", "Vz"}, {"Ri", "Ro", "Rf", "Rz"}, {"ai", "ao", "af", "az"}));
        Array x = c.input();
        tensors["x"] = x;
        tensors["h"] = c.initial("initial_h", 0), tensors["c"] = c.initial("initial_c", 0);
        tensors["g"] = c.initial("initial_h", 1), tensors["e"] = c.initial("initial_c", 1);
        Tensors out = run("bidirectional_lstm", {{"D", x.shape[2]}, {"H", c.hidden}}, tensors, {"h", "c", "g", "e"},
                          {"y"}, back.target, back.type);
        Direction forward{lastAxis(out["output y"], 0, c.hidden), out["h"], out["c"]};
        Direction reverse{lastAxis(out["output y"], c.hidden, c.hidden), out["g"], out["e"]};
        compare(c, {forward, reverse}, back);
      }
  }
}

// Asserts: every output is the integer of LSRL's definition, exactly, in f64 and in f32. Only the rotating counter
// holds irrational numbers: its step functions saturate, so that what remains is the rounding of numbers up to 16.
TEST_CASE("LSRL programs give the integers of LSRL's definition", "[oracle][lsrl]") {
  for (const LsrlCase &c : loadLsrl("lsrl.json"))
    for (const Back &back : backs)
      DYNAMIC_SECTION(c.file << ": " << c.why << ", on " << back.target << " " << nameOf(back.type)) {
        std::vector<std::string> names;
        for (const auto &[name, values] : c.outputs)
          names.push_back(name);
        Tensors out = run(c.file, {}, c.inputs, {}, names, back.target, back.type);
        double unit = std::ldexp(1.0, back.type == DType::F32 ? -24 : -53);
        for (const std::string &name : names)
          requireClose(name, out["output " + name], c.outputs.at(name), c.irrational ? 64 * unit : 0);
      }
}
