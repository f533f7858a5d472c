// A small hand-made program, S = a S₋ + g x per head, for the tests of Kernel::run.
#pragma once
#include "rondo/Kernel.h"
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <memory>
#include <stdexcept>

namespace rondo::test {

inline const AxisSpec batch{Axis::Batch, -1, "batch"}, timeAxis{Axis::Time, -1, "time"}, head{Axis::Head, -1, "head"},
    group{Axis::Group, -1, "group"};
inline AxisSpec named(const char *name, int64_t size) { return {Axis::Named, size, name}; }

inline TensorSpec spec(const char *name, TensorKind kind, std::vector<AxisSpec> axes, DType type = DType::F32) {
  TensorSpec result{};
  result.name = name;
  result.kind = kind;
  result.type = type;
  result.axes = std::move(axes);
  result.defaultValue = {0.0};
  return result;
}

inline float *operand(const KernelCall &call, int i, int64_t b, int64_t t, int64_t h) {
  const int64_t *s = call.strides + i * 5;
  return static_cast<float *>(call.pointers[i]) + b * s[0] + t * s[1] + h * s[3];
}

inline constexpr int64_t K = 3;

/// S = a S₋ + g x, o = S: operands x [B,T,H,K], a [H], g [B,T,G], S0, o, S. One task per batch entry and head.
inline void decaySum(const KernelCall *call, int64_t begin, int64_t end, void *scratch) {
  auto *state = static_cast<float *>(scratch);
  for (int64_t task = begin; task < end; ++task) {
    const int64_t b = task / call->heads, h = task % call->heads, g = h / call->headsPerGroup;
    std::memcpy(state, operand(*call, 3, b, 0, h), K * sizeof(float));
    for (int64_t t = 0; t < call->time; ++t)
      for (int64_t k = 0; k < K; ++k) {
        state[k] = *operand(*call, 1, b, t, h) * state[k] + *operand(*call, 2, b, t, g) * operand(*call, 0, b, t, h)[k];
        operand(*call, 4, b, t, h)[k] = state[k];
      }
    std::memcpy(operand(*call, 5, b, 0, h), state, K * sizeof(float));
  }
}

inline std::shared_ptr<Program> decayProgram() {
  auto program = std::make_shared<Program>();
  program->model = "decay";
  program->hasHeads = true;
  program->tensors = {spec("x", TensorKind::Input, {batch, timeAxis, head, named("K", K)}),
                      spec("g", TensorKind::Input, {batch, timeAxis, group}),
                      spec("a", TensorKind::Param, {head}),
                      spec("S0", TensorKind::Init, {batch, head, named("K", K)}),
                      spec("o", TensorKind::Output, {batch, timeAxis, head, named("K", K)}),
                      spec("S", TensorKind::Final, {batch, head, named("K", K)})};
  Launch launch;
  launch.symbol = "decay_step";
  launch.function = decaySum;
  launch.operands = {0, 2, 1, 3, 4, 5};
  launch.perHead = true;
  launch.scratchBytes = K * sizeof(float);
  program->launches = {launch};
  return program;
}

/// Tensors of a call with their memory; values are small and different.
struct Data {
  NamedBuffers buffers;
  NamedTensors views;

  Tensor &add(const char *name, std::vector<int64_t> shape, DType type = DType::F32) {
    buffers.emplace_back(name, Buffer(type, std::move(shape)));
    const Tensor view = buffers.back().second.view();
    for (int64_t i = 0; i < view.elements(); ++i)
      storeElement(view, i, double((i * 7 + int64_t(buffers.size())) % 11) / 8 - 0.5);
    views.emplace_back(name, view);
    return views.back().second;
  }
  Tensor &operator[](const std::string &name) {
    for (auto &[key, tensor] : views)
      if (key == name)
        return tensor;
    throw std::out_of_range(name);
  }
};

inline Data decayData(int64_t B, int64_t T, int64_t H, int64_t G) {
  Data data;
  data.add("x", {B, T, H, K});
  data.add("g", {B, T, G});
  data.add("a", {H});
  data.add("S0", {B, H, K});
  return data;
}

/// The same recurrence without strides, groups of heads spelled out.
inline void expectDecay(Data &in, const Tensor &o, const Tensor &S, bool withInit = true) {
  const int64_t B = in["x"].shape[0], T = in["x"].shape[1], H = in["x"].shape[2], G = in["g"].shape[2];
  int wrong = 0;
  for (int64_t b = 0; b < B; ++b)
    for (int64_t h = 0; h < H; ++h)
      for (int64_t k = 0; k < K; ++k) {
        float state = withInit ? float(loadReal(in["S0"], (b * H + h) * K + k)) : 0;
        for (int64_t t = 0; t < T; ++t) {
          state = float(loadReal(in["a"], h)) * state + float(loadReal(in["g"], (b * T + t) * G + h / (H / G))) *
                                                            float(loadReal(in["x"], ((b * T + t) * H + h) * K + k));
          wrong += std::abs(loadReal(o, ((b * T + t) * H + h) * K + k) - double(state)) > 1e-5;
        }
        wrong += std::abs(loadReal(S, (b * H + h) * K + k) - double(state)) > 1e-5;
      }
  CHECK(wrong == 0);
}

inline std::string messageOf(const Result<void> &result) { return result ? "no error" : result.error().message(); }
inline std::string messageOf(const Result<NamedBuffers> &result) {
  return result ? "no error" : result.error().message();
}

inline const Tensor &find(const NamedBuffers &buffers, const std::string &name, Tensor &view) {
  for (const auto &[key, buffer] : buffers)
    if (key == name)
      view = buffer.view();
  return view;
}

inline std::string decayError(Data &data, const RunOptions &options = {}) {
  return messageOf(Kernel(decayProgram()).run(data.views, options));
}

} // namespace rondo::test
