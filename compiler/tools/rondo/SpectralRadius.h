// Bounds on how much a recurrent matrix can amplify, for drawing weights that keep a recurrence bounded.
#pragma once
#include <complex>
#include <cstdint>
#include <vector>

namespace rondo::tool {

using Matrix = std::vector<std::complex<double>>; // row-major

/// An upper bound on the spectral radius of an n x n matrix: ||A^m||_F^(1/m) (Gelfand) with m = 256, within n^(1/512) of the
/// truth for normal matrices. Costs 8 n^3.
double spectralRadiusBound(const Matrix &matrix, int64_t n);

/// The 2-norm by power iteration on A* A, times 1.02 for what the iteration has not reached. Costs 60 rows cols.
double normEstimate(const Matrix &matrix, int64_t rows, int64_t cols);

} // namespace rondo::tool
