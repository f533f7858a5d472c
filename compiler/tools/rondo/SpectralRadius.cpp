// Gelfand's formula by repeated squaring, and power iteration.
#include "compiler/tools/rondo/SpectralRadius.h"
#include <cmath>

namespace rondo::tool {
namespace {

double frobenius(const Matrix &matrix) {
  double sum = 0;
  for (const auto &element : matrix)
    sum += std::norm(element);
  return std::sqrt(sum);
}

Matrix square(const Matrix &a, int64_t n) {
  Matrix result(size_t(n * n));
  for (int64_t i = 0; i < n; ++i)
    for (int64_t k = 0; k < n; ++k) {
      const std::complex<double> factor = a[size_t(i * n + k)];
      for (int64_t j = 0; j < n; ++j)
        result[size_t(i * n + j)] += factor * a[size_t(k * n + j)];
    }
  return result;
}

} // namespace

double spectralRadiusBound(const Matrix &matrix, int64_t n) {
  Matrix power = matrix;
  double logScale = 0; // power * exp(logScale) = matrix^(2^step)
  constexpr int steps = 8;
  for (int step = 0; step <= steps; ++step) {
    const double norm = frobenius(power);
    if (norm == 0)
      return 0;
    for (auto &element : power)
      element /= norm;
    logScale += std::log(norm);
    if (step == steps)
      break;
    power = square(power, n);
    logScale *= 2;
  }
  return std::exp(logScale / (1 << steps));
}

double normEstimate(const Matrix &matrix, int64_t rows, int64_t cols) {
  std::vector<std::complex<double>> x(size_t(cols), 1.0), y(static_cast<size_t>(rows));
  for (int64_t j = 0; j < cols; ++j) // a start that is orthogonal to no eigenvector in practice
    x[size_t(j)] += 0.1 * std::sin(1.7 * double(j) + 0.3);
  double norm = 0;
  for (int step = 0; step < 30; ++step) {
    double length = 0;
    for (const auto &element : x)
      length += std::norm(element);
    length = std::sqrt(length);
    if (length == 0)
      return 0;
    for (int64_t i = 0; i < rows; ++i) {
      y[size_t(i)] = 0;
      for (int64_t j = 0; j < cols; ++j)
        y[size_t(i)] += matrix[size_t(i * cols + j)] * (x[size_t(j)] / length);
    }
    norm = frobenius(y);
    for (int64_t j = 0; j < cols; ++j) {
      x[size_t(j)] = 0;
      for (int64_t i = 0; i < rows; ++i)
        x[size_t(j)] += std::conj(matrix[size_t(i * cols + j)]) * y[size_t(i)];
    }
  }
  return 1.02 * norm;
}

} // namespace rondo::tool
