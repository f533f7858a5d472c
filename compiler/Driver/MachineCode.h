// Machine code for NVIDIA GPUs beside PTX, where ptxas is installed.
#pragma once
#include <string>
#include <string_view>

namespace rondo::driver {

/// The cubins of the PTX texts that joinImage has joined, as Variant::cubin keeps them, for a target such as "cuda:sm_90a". Empty where there is
/// no ptxas, or none that knows the texts' version: then the driver of the GPU translates the PTX, which takes it some seconds.
std::string assembleImage(std::string_view target, std::string_view texts);

} // namespace rondo::driver
