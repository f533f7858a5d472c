// What this machine can do at most, in a tenth of a second: the roof of a tuning report.
#pragma once

namespace rondo::tool {

struct Ceilings {
  double operations = 0; // a second: f32 multiplications and additions in registers
  double bytes = 0;      // a second: read and written by copies that no cache holds
};

/// The best of a few short runs on so many threads at once.
Ceilings measureCeilings(int threads);

} // namespace rondo::tool
