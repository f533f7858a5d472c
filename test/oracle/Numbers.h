// What the oracle tests share: reading the published numbers, turning ONNX's layouts into ours, and running a spec of
// examples/ through the public API.
#pragma once
#include "rondo/Tensor.h"
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace rondo::oracle {

/// A row-major array of numbers with its shape.
struct Array {
  std::vector<int64_t> shape;
  std::vector<double> data;
};
using Tensors = std::map<std::string, Array>;

/// Part `index` of the first axis, which goes away.
Array slice(const Array &array, int64_t index);
/// Rows [begin, begin + count) of the first axis.
Array rows(const Array &array, int64_t begin, int64_t count);
/// Elements [begin, begin + count) of the last axis.
Array lastAxis(const Array &array, int64_t begin, int64_t count);
/// Elementwise sum of two arrays of one shape.
Array add(const Array &a, const Array &b);
/// The first two axes exchanged.
Array swapFirst(const Array &array);
/// A sequence [B, T, ...] backwards in time.
Array flipTime(const Array &array);

/// One case of the ONNX files, in ONNX's layout; the functions give parts of it in ours.
struct Case {
  std::string name, origin, direction;
  int64_t layout = 0, hidden = 0;
  bool resetAfter = false;
  Tensors inputs, outputs;

  int64_t directions() const { return inputs.at("W").shape[0]; }
  /// X as [B, T, D].
  Array input() const;
  /// W, R, B or P of one direction.
  Array weight(const std::string &name, int64_t direction) const { return slice(inputs.at(name), direction); }
  Array weightOrZero(const std::string &name, int64_t direction, std::vector<int64_t> shape) const;
  /// An initial state of one direction, [B, H]; zero when the case gives none.
  Array initial(const std::string &name, int64_t direction) const;
  /// Y of one direction as [B, T, H].
  Array expectedSequence(int64_t direction) const;
  /// Y_h or Y_c of one direction as [B, H].
  Array expectedFinal(const std::string &name, int64_t direction) const;
};

/// One LSRL program with its integers; tensors are [1, T].
struct LsrlCase {
  std::string file, why;
  bool irrational = false;
  Tensors inputs, outputs;
};

/// Reads a file of test/oracle. Numbers of published cases are rounded to f32, which is what was published.
std::vector<Case> loadOnnx(const std::string &file);
std::vector<LsrlCase> loadLsrl(const std::string &file);

/// Compiles examples/<spec>.rondo for `target` with tensors of `type` and runs it. Gives the final states under their
/// names and the outputs as "output <name>", since a state may be an output too. Every shape is the spec's without a
/// head axis. A compile or run error fails the test with its message.
Tensors run(const std::string &spec, const std::map<std::string, int64_t> &dims, const Tensors &tensors,
            const std::vector<std::string> &finals, const std::vector<std::string> &outputs, const std::string &target,
            DType type);

} // namespace rondo::oracle
