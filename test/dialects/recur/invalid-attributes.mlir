// Malformed attributes of the dialect.
// RUN: rondo-opt --split-input-file --verify-diagnostics %s

// One size per name.
// expected-error @+1 {{expected 2 sizes, one per name of #recur.dims<batch | K>, got 1}}
func.func private @f(tensor<?xf64, #recur.dims<batch | K>>)

// -----

// A name that is a number is the size.
// expected-error @+1 {{expected size 3 for the axis named '3'}}
func.func private @f(tensor<4xf64, #recur.dims<| "3">>)

// -----

// Implicit axes are out of a list.
// expected-error @+1 {{unknown implicit axis 'beam'}}
func.func private @f(tensor<?xf64, #recur.dims<beam>>)

// -----

// In their order.
// expected-error @+1 {{implicit axis 'batch' is out of order: batch, lag, time, time1, ..., source, then head or group}}
func.func private @f(tensor<?x?xf64, #recur.dims<time, batch>>)

// -----

// Head and group exclude each other.
// expected-error @+1 {{implicit axis 'group' is out of order}}
func.func private @f(tensor<?x?xf64, #recur.dims<head, group>>)

// -----

// Names are sizes.
// expected-error @+1 {{'K+' is no size}}
func.func private @f(tensor<?xf64, #recur.dims<| "K+">>)

// -----

// In canonical form.
// expected-error @+1 {{size 'K*H' is not in canonical form 'H*K'}}
func.func private @f(tensor<?xf64, #recur.dims<| "K*H">>)

// -----

// An interval is not empty.
// expected-error @+1 {{an interval's lower end must not exceed its upper end}}
func.func private @f(f64 {recur.range = #recur.interval<1.0, 0.0>})

// -----

// An argument's kind is one of three.
// expected-error @+1 {{malformed 'recur.kind' on argument 0}}
func.func private @f(f64 {recur.kind = "output"})

// -----

// A range is an interval.
// expected-error @+1 {{malformed 'recur.range' on argument 0}}
func.func private @f(f64 {recur.range = [0.0, 1.0]})

// -----

// A result's kind is one of two.
// expected-error @+1 {{malformed 'recur.kind' on result 0}}
func.func private @f() -> (f64 {recur.kind = "input"})

// -----

// Dimensions are a list of sizes.
// expected-error @+1 {{malformed 'recur.dims'}}
func.func private @f() attributes {recur.dims = "K"}

// -----

// The attributes belong on functions.
func.func @f() {
  // expected-error @+1 {{'recur.heads' belongs on a function}}
  return {recur.heads}
}
