// LLVM's part: conversion, optimisation, PTX, ptxas. See Codegen.h.
#include "compiler/Target/CUDA/Codegen.h"
#include "compiler/Target/CUDA/Assembler.h"
#include "compiler/Target/Signature.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVMPass.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/NVVMToLLVM/NVVMToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/Bitcode/BitcodeWriter.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Transforms/Utils/Cloning.h"
#include <atomic>
#include <map>
#include <numeric>
#include <thread>

using namespace mlir;
using namespace rondo;
using namespace rondo::cuda;

bool rondo::cuda::isArchitecture(StringRef name) {
  unsigned number = 0;
  if (!name.consume_front("sm_") || name.consumeInteger(10, number))
    return false;
  return number >= 80 && number <= 130 && (name.empty() || name == "a" || name == "f");
}

void rondo::cuda::buildToLLVM(OpPassManager &passes) {
  passes.addPass(arith::createArithExpandOpsPass()); // division with rounding
  passes.addPass(createSCFToControlFlowPass());
  passes.addPass(createConvertMathToLLVMPass());
  passes.addPass(createUBToLLVMConversionPass());
  passes.addPass(createFinalizeMemRefToLLVMConversionPass());
  passes.addPass(createArithToLLVMConversionPass());
  passes.addPass(createConvertFuncToLLVMPass());
  passes.addPass(createConvertControlFlowToLLVMPass());
  passes.addPass(createConvertNVVMToLLVMPass()); // instructions that LLVM has no intrinsics for
  passes.addPass(createReconcileUnrealizedCastsPass());
}

/// What is written out for registers comes as long straight code, in which equal addresses and loads must be found; loops that are
/// left are not unrolled here: ptxas does it, and knows the registers.
static const char *const kOptimisation =
    "function(sroa,simplifycfg,early-cse<memssa>,instcombine<no-verify-fixpoint>,loop-mssa(licm),gvn,"
    "instcombine<no-verify-fixpoint>,dse,adce,simplifycfg)";

/// Of kernels that ask for it: only out of loops that test at their end can loads be taken.
static const char *const kRotation = "sroa,simplifycfg,early-cse,loop-simplify,lcssa,loop-mssa(loop-rotate,licm)";

static llvm::Error optimise(llvm::Module &code, llvm::TargetMachine &machine) {
  llvm::PassBuilder builder(&machine);
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager callGraph;
  llvm::ModuleAnalysisManager modules;
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(callGraph);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, callGraph, modules);
  llvm::FunctionPassManager rotation;
  if (llvm::Error error = builder.parsePassPipeline(rotation, kRotation))
    return error;
  for (llvm::Function &function : code)
    if (function.hasFnAttribute(kRotateAttr))
      rotation.run(function, functions);
  llvm::ModulePassManager passes;
  if (llvm::Error error = builder.parsePassPipeline(passes, kOptimisation))
    return error;
  passes.run(code, modules);
  return llvm::Error::success();
}

static llvm::Expected<std::unique_ptr<llvm::TargetMachine>> makeMachine(StringRef arch) {
  static const bool once = [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    return true;
  }();
  (void)once;
  if (!isArchitecture(arch))
    return llvm::createStringError("'" + arch.str() + "' is no GPU that kernels can be made for");
  llvm::Triple triple("nvptx64-nvidia-cuda");
  std::string why;
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, why);
  if (!target)
    return llvm::createStringError("this LLVM has no NVPTX back end: " + why);
  // What tile kernels use wants PTX 8.0, and st.async in clusters 8.1; later architectures ask for more by themselves.
  const char *features = arch.starts_with("sm_8") ? "+ptx80" : arch.starts_with("sm_90") ? "+ptx81" : "";
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      triple, arch, features, llvm::TargetOptions(), std::nullopt, std::nullopt, llvm::CodeGenOptLevel::Aggressive));
}

static llvm::Expected<std::string> toPTX(llvm::Module &code, llvm::TargetMachine &machine) {
  llvm::SmallString<0> text;
  llvm::raw_svector_ostream stream(text);
  llvm::legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, stream, nullptr, llvm::CodeGenFileType::AssemblyFile))
    return llvm::createStringError("the NVPTX back end prints no PTX");
  passes.run(code);
  return text.str().str();
}

static std::optional<Program> programOf(ModuleOp module) {
  auto attribute = module->getAttrOfType<DictionaryAttr>(kProgramAttr);
  return attribute ? programFromAttr(attribute) : std::nullopt;
}

/// What the launches start becomes kernels, which the assembler gives registers for blocks of their size.
static void markKernels(llvm::Module &code, ModuleOp module) {
  std::optional<Program> program = programOf(module);
  for (const Launch &launch : program ? program->launches : std::vector<Launch>())
    if (llvm::Function *kernel = code.getFunction(launch.symbol)) {
      kernel->setCallingConv(llvm::CallingConv::PTX_Kernel);
      kernel->addFnAttr("nvvm.maxntid", std::to_string(launch.threads));
      if (launch.cluster)
        kernel->addFnAttr("nvvm.cluster_dim", std::to_string(launch.cluster) + ",1,1");
    }
}

/// The architecture, and a line for each kernel: "gla_0_chunks: 256 threads, 98 KiB shared, 168 registers, 0 bytes spilled".
static llvm::Expected<std::string> describeResources(ModuleOp module, StringRef ptx, StringRef arch) {
  auto assembled = assemble(ptx, arch);
  if (!assembled)
    return assembled.takeError();
  std::string text;
  llvm::raw_string_ostream out(text);
  out << arch << "\n";
  std::optional<Program> program = programOf(module);
  for (const Launch &launch : program ? program->launches : std::vector<Launch>()) {
    out << launch.symbol << ": " << launch.threads << " threads, " << (launch.sharedBytes + 1023) / 1024
        << " KiB shared";
    auto found = assembled->resources.find(launch.symbol);
    if (found != assembled->resources.end())
      out << ", " << found->second.registers << " registers, " << found->second.spilledBytes << " bytes spilled"
          << (found->second.addsWaits ? ", waits that ptxas has added" : "");
    out << "\n";
  }
  return text;
}

static llvm::Expected<std::unique_ptr<llvm::Module>> translate(ModuleOp module, llvm::LLVMContext &context,
                                                               llvm::TargetMachine &machine) {
  std::unique_ptr<llvm::Module> code = translateModuleToLLVMIR(module, context);
  if (!code)
    return llvm::createStringError("the module has no translation to LLVM IR");
  code->setDataLayout(machine.createDataLayout());
  code->setTargetTriple(machine.getTargetTriple());
  markKernels(*code, module);
  return code;
}

llvm::Expected<std::string> rondo::cuda::printCode(ModuleOp module, StringRef arch, CodeText what) {
  auto machine = makeMachine(arch);
  if (!machine)
    return machine.takeError();
  llvm::LLVMContext context;
  auto translated = translate(module, context, **machine);
  if (!translated)
    return translated.takeError();
  llvm::Module *code = translated->get();
  if (llvm::Error error = optimise(*code, **machine))
    return std::move(error);
  if (what == CodeText::LLVM) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    code->print(stream, nullptr);
    return text;
  }
  auto ptx = toPTX(*code, **machine);
  if (!ptx || what == CodeText::PTX)
    return ptx;
  if (what == CodeText::Resources)
    return describeResources(module, *ptx, arch);
  auto assembled = assemble(*ptx, arch);
  if (!assembled)
    return assembled.takeError();
  return std::move(assembled->cubin);
}

/// Says which image each launch's kernel is in: of what can be done in several ways, each way has one. Returns the kernels by image.
static std::vector<llvm::StringSet<>> assignImages(Program &program) {
  std::vector<llvm::StringSet<>> images(1);
  std::map<std::pair<int64_t, int64_t>, size_t> known;
  for (Launch &launch : program.launches) {
    if (launch.choice) {
      auto [found, isNew] = known.try_emplace({launch.choice, launch.way}, images.size());
      launch.image = found->second;
      if (isNew)
        images.emplace_back();
    }
    images[launch.image].insert(launch.symbol);
  }
  return images;
}

/// Some of the kernels as bitcode, which another context can read; empty for none.
static std::string cutOut(const llvm::Module &code, const llvm::StringSet<> &kernels) {
  std::string bits;
  if (kernels.empty())
    return bits;
  std::unique_ptr<llvm::Module> some = llvm::CloneModule(code);
  for (llvm::Function &function : llvm::make_early_inc_range(*some))
    if (function.getCallingConv() == llvm::CallingConv::PTX_Kernel && !kernels.contains(function.getName()))
      function.eraseFromParent();
  llvm::raw_string_ostream stream(bits);
  llvm::WriteBitcodeToFile(*some, stream, /*ShouldPreserveUseListOrder=*/true); // what passes do may depend on it
  return bits;
}

/// The PTX of what `cutOut` made, in a context of its own: contexts are no one's but one thread's.
static llvm::Expected<std::string> printPTX(StringRef bits, StringRef arch) {
  if (bits.empty())
    return "";
  auto machine = makeMachine(arch);
  if (!machine)
    return machine.takeError();
  llvm::LLVMContext context;
  auto code = llvm::parseBitcodeFile(llvm::MemoryBufferRef(bits, "kernels"), context);
  if (!code)
    return code.takeError();
  if (llvm::Error error = optimise(**code, **machine))
    return std::move(error);
  return toPTX(**code, **machine);
}

/// The PTX of each, on as many threads as there are processors; the longest are begun first.
static llvm::Expected<std::vector<std::string>> printAll(ArrayRef<std::string> cuts, StringRef arch) {
  std::vector<size_t> order(cuts.size());
  std::iota(order.begin(), order.end(), size_t(0));
  llvm::sort(order, [&](size_t a, size_t b) { return std::pair(cuts[b].size(), a) < std::pair(cuts[a].size(), b); });
  std::vector<std::optional<llvm::Expected<std::string>>> made(cuts.size());
  std::atomic<size_t> next = 0;
  auto work = [&] {
    for (size_t i = next++; i < order.size(); i = next++)
      made[order[i]].emplace(printPTX(cuts[order[i]], arch));
  };
  std::vector<std::thread> others(std::min<size_t>(cuts.size(), std::max(1u, std::thread::hardware_concurrency())) - 1);
  for (std::thread &other : others)
    other = std::thread(work);
  work();
  for (std::thread &other : others)
    other.join();
  std::vector<std::string> texts;
  llvm::Error errors = llvm::Error::success();
  for (std::optional<llvm::Expected<std::string>> &each : made)
    if (*each)
      texts.push_back(std::move(**each));
    else
      errors = llvm::joinErrors(std::move(errors), each->takeError());
  if (errors)
    return std::move(errors);
  return texts;
}

llvm::Expected<std::shared_ptr<const Program>> rondo::cuda::describe(ModuleOp module, StringRef arch) {
  std::optional<Program> program = programOf(module);
  if (!program)
    return llvm::createStringError("the module describes no program");
  auto machine = makeMachine(arch);
  if (!machine)
    return machine.takeError();
  llvm::LLVMContext context;
  auto code = translate(module, context, **machine);
  if (!code)
    return code.takeError();
  std::vector<std::string> cuts;
  for (const llvm::StringSet<> &kernels : assignImages(*program))
    cuts.push_back(cutOut(**code, kernels));
  auto texts = printAll(cuts, arch);
  if (!texts)
    return texts.takeError();
  DeviceImage image{"cuda", arch.str(), std::move(texts->front())};
  image.more.assign(std::make_move_iterator(texts->begin() + 1), std::make_move_iterator(texts->end()));
  program->image = std::make_shared<const DeviceImage>(std::move(image));
  return std::make_shared<const Program>(std::move(*program));
}
