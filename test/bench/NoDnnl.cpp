// Stands in for DnnlCases.cpp where oneDNN is not installed.
#include "Case.h"

namespace rondo::bench {

std::vector<Case> dnnlCases() { return {}; }
std::string dnnlVersion() { return ""; }

} // namespace rondo::bench
