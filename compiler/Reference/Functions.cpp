// One line per function, straight from the table in recur.map's document.
#include "compiler/Reference/Functions.h"
#include <cmath>

namespace rondo::reference {
using recur::Fn;

/// No number wins, unlike in std::fmax.
static double larger(double x, double y) { return std::isnan(x) || std::isnan(y) ? NAN : x > y ? x : y; }
static double smaller(double x, double y) { return std::isnan(x) || std::isnan(y) ? NAN : x < y ? x : y; }
static double signOf(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }

// clang-format off: tables.
RealFunction realFunction(Fn fn) {
  switch (fn) {
  case Fn::Neg: return [](double x, double) { return -x; };
  case Fn::Exp: return [](double x, double) { return std::exp(x); };
  case Fn::Expm1: return [](double x, double) { return std::expm1(x); };
  case Fn::Log: return [](double x, double) { return std::log(x); };
  case Fn::Log1p: return [](double x, double) { return std::log1p(x); };
  case Fn::Sqrt: return [](double x, double) { return std::sqrt(x); };
  case Fn::Tanh: return [](double x, double) { return std::tanh(x); };
  case Fn::Sin: return [](double x, double) { return std::sin(x); };
  case Fn::Cos: return [](double x, double) { return std::cos(x); };
  case Fn::Erf: return [](double x, double) { return std::erf(x); };
  case Fn::Abs: return [](double x, double) { return std::fabs(x); };
  case Fn::Sign: return [](double x, double) { return signOf(x); };
  case Fn::Floor: return [](double x, double) { return std::floor(x); };
  case Fn::Real: return [](double x, double) { return x; };
  case Fn::Imag: return [](double, double) { return 0.0; };
  case Fn::Conj: return [](double x, double) { return x; };
  case Fn::Not: return [](double x, double) { return double(x == 0); };
  case Fn::Add: return [](double x, double y) { return x + y; };
  case Fn::Sub: return [](double x, double y) { return x - y; };
  case Fn::Mul: return [](double x, double y) { return x * y; };
  case Fn::Div: return [](double x, double y) { return x / y; };
  case Fn::Max: return larger;
  case Fn::Min: return smaller;
  case Fn::Pow: return [](double x, double y) { return std::pow(x, y); };
  case Fn::Lt: return [](double x, double y) { return double(x < y); };
  case Fn::Le: return [](double x, double y) { return double(x <= y); };
  case Fn::Eq: return [](double x, double y) { return double(x == y); };
  case Fn::Ne: return [](double x, double y) { return double(x != y); };
  case Fn::And: return [](double x, double y) { return double(x != 0 && y != 0); };
  case Fn::Or: return [](double x, double y) { return double(x != 0 || y != 0); };
  case Fn::Complex:
  case Fn::Select: return nullptr;
  }
  return nullptr;
}

ComplexFunction complexFunction(Fn fn) {
  switch (fn) {
  case Fn::Neg: return [](Complex x, Complex) { return -x; };
  case Fn::Exp: return [](Complex x, Complex) { return std::exp(x); };
  case Fn::Log: return [](Complex x, Complex) { return std::log(x); };
  case Fn::Sqrt: return [](Complex x, Complex) { return std::sqrt(x); };
  case Fn::Tanh: return [](Complex x, Complex) { return std::tanh(x); };
  case Fn::Sin: return [](Complex x, Complex) { return std::sin(x); };
  case Fn::Cos: return [](Complex x, Complex) { return std::cos(x); };
  case Fn::Abs: return [](Complex x, Complex) { return Complex(std::abs(x)); };
  case Fn::Real: return [](Complex x, Complex) { return Complex(x.real()); };
  case Fn::Imag: return [](Complex x, Complex) { return Complex(x.imag()); };
  case Fn::Conj: return [](Complex x, Complex) { return std::conj(x); };
  case Fn::Add: return [](Complex x, Complex y) { return x + y; };
  case Fn::Sub: return [](Complex x, Complex y) { return x - y; };
  case Fn::Mul: return [](Complex x, Complex y) { return x * y; };
  case Fn::Div: return [](Complex x, Complex y) { return x / y; };
  // std::pow(complex, complex) goes through log and loses pow(0, n); whole exponents multiply.
  case Fn::Pow: return [](Complex x, Complex y) {
    bool whole = y.imag() == 0 && std::floor(y.real()) == y.real() && std::fabs(y.real()) < 1024;
    return whole ? std::pow(x, int(y.real())) : std::pow(x, y);
  };
  case Fn::Complex: return [](Complex x, Complex y) { return Complex(x.real(), y.real()); };
  case Fn::Eq: return [](Complex x, Complex y) { return Complex(x == y); };
  case Fn::Ne: return [](Complex x, Complex y) { return Complex(x != y); };
  default: return nullptr;
  }
}
// clang-format on

} // namespace rondo::reference
