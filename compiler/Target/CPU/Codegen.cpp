// LLVM's part: conversion, optimisation, machine code. See Codegen.h.
#include "compiler/Target/CPU/Codegen.h"
#include "compiler/Target/CPU/Machine.h"
#include "compiler/Target/Signature.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVMPass.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MathToLibm/MathToLibm.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/ReconcileUnrealizedCasts/ReconcileUnrealizedCasts.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVMPass.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/Transforms/Utils/Cloning.h"

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

void rondo::cpu::buildToLLVM(OpPassManager &passes) {
  passes.addPass(createSCFToControlFlowPass());
  passes.addPass(createConvertMathToLLVMPass());
  passes.addPass(createConvertMathToLibmPass()); // takes vectors apart, so it comes before they are lowered
  ConvertVectorToLLVMPassOptions vectors;
  vectors.reassociateFPReductions = true;
  passes.addPass(createConvertVectorToLLVMPass(vectors));
  passes.addPass(createUBToLLVMConversionPass()); // the vector lowering leaves ub.poison behind
  passes.addPass(createFinalizeMemRefToLLVMConversionPass());
  passes.addPass(createArithToLLVMConversionPass());
  passes.addPass(createConvertFuncToLLVMPass());
  passes.addPass(createConvertControlFlowToLLVMPass());
  passes.addPass(createReconcileUnrealizedCastsPass());
}

/// What LLVM adds to code that comes with its vectors, unrolling and hoisting chosen: scalar clean-up, and no loop transformation
/// beyond moving address arithmetic out. LLVM's own O1 takes three to ten times as long here, most of it in the analysis of loops,
/// for the same speed.
static const char *const kOptimisation = "function(simplifycfg,early-cse<memssa>,instcombine<no-verify-fixpoint>,"
                                         "loop-mssa(licm),early-cse,simplifycfg)";

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
  llvm::ModulePassManager passes;
  if (llvm::Error error = builder.parsePassPipeline(passes, kOptimisation))
    return error;
  passes.run(code, modules);
  return llvm::Error::success();
}

static void initializeTarget() {
  static const bool once = [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    llvm::InitializeNativeTargetAsmParser();
    return true;
  }();
  (void)once;
}

/// Position-independent code of the small code model: what runtime/core/ObjectCode maps, and any linker takes.
static llvm::Expected<std::unique_ptr<llvm::TargetMachine>> makeMachine(const Machine &machine) {
  initializeTarget();
  const llvm::Triple triple{llvm::sys::getProcessTriple()};
  std::string why;
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, why);
  if (!target)
    return llvm::createStringError(why);
  return std::unique_ptr<llvm::TargetMachine>(
      target->createTargetMachine(triple, machine.name, machine.features, llvm::TargetOptions(), llvm::Reloc::PIC_,
                                  llvm::CodeModel::Small, llvm::CodeGenOptLevel::Aggressive));
}

/// LLVM IR of the module for a machine, not optimised yet.
static llvm::Expected<std::unique_ptr<llvm::Module>> translate(ModuleOp module, llvm::LLVMContext &context,
                                                               llvm::TargetMachine &target, const Machine &machine) {
  std::unique_ptr<llvm::Module> code = translateModuleToLLVMIR(module, context);
  if (!code)
    return llvm::createStringError("the module has no translation to LLVM IR");
  code->setDataLayout(target.createDataLayout());
  code->setTargetTriple(target.getTargetTriple());
  for (llvm::Function &function : *code) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", machine.name);
    function.addFnAttr("target-features", machine.features);
    function.addFnAttr("prefer-vector-width", std::to_string(machine.vectorBits));
  }
  return code;
}

/// Takes the second and third functions of all launches out of `code`, into a module of their own: most calls need the first ones.
static std::unique_ptr<llvm::Module> takeSplit(llvm::Module &code, const Program &program) {
  llvm::StringSet<> symbols;
  for (const Launch &launch : program.launches)
    for (const std::string &symbol :
         {launch.splitSymbol, launch.team.symbol, launch.rowTeam.symbol, launch.segments.symbol})
      if (!symbol.empty())
        symbols.insert(symbol);
  if (symbols.empty())
    return nullptr;
  std::unique_ptr<llvm::Module> split = llvm::CloneModule(code);
  for (llvm::Function &function : llvm::make_early_inc_range(*split))
    if (!function.isDeclaration() && !symbols.contains(function.getName()))
      function.eraseFromParent();
  for (const auto &symbol : symbols)
    code.getFunction(symbol.getKey())->eraseFromParent();
  return split;
}

/// The module's machine code: assembly, or an object.
static llvm::Expected<std::string> emit(llvm::Module &code, llvm::TargetMachine &machine, llvm::CodeGenFileType what) {
  llvm::SmallString<0> text;
  llvm::raw_svector_ostream stream(text);
  llvm::legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, stream, nullptr, what))
    return llvm::createStringError("this target makes no such file");
  passes.run(code);
  return text.str().str();
}

static llvm::Expected<std::string> makeObject(llvm::Module &code, llvm::TargetMachine &machine) {
  if (llvm::Error error = optimise(code, machine))
    return std::move(error);
  return emit(code, machine, llvm::CodeGenFileType::ObjectFile);
}

llvm::Expected<std::string> rondo::cpu::printCode(ModuleOp module, CodeText what, const Machine &machine) {
  auto target = makeMachine(machine);
  if (!target)
    return target.takeError();
  llvm::LLVMContext context;
  auto code = translate(module, context, **target, machine);
  if (!code)
    return code.takeError();
  if (llvm::Error error = optimise(**code, **target))
    return std::move(error);
  if (what == CodeText::Assembly)
    return emit(**code, **target, llvm::CodeGenFileType::AssemblyFile);
  std::string text;
  llvm::raw_string_ostream stream(text);
  (*code)->print(stream, nullptr);
  return text;
}

namespace {
/// What is compiled when it is first wanted. Members go in the order that their destruction needs.
struct Waiting {
  std::unique_ptr<llvm::LLVMContext> context = std::make_unique<llvm::LLVMContext>();
  std::unique_ptr<llvm::TargetMachine> target;
  std::unique_ptr<llvm::Module> code;
};
} // namespace

static void appendToNames(Program &program, llvm::Module &code, StringRef suffix) {
  if (suffix.empty())
    return;
  for (Launch &launch : program.launches)
    for (std::string *symbol :
         {&launch.symbol, &launch.splitSymbol, &launch.team.symbol, &launch.rowTeam.symbol, &launch.segments.symbol})
      if (llvm::Function *function = symbol->empty() ? nullptr : code.getFunction(*symbol)) {
        *symbol += suffix;
        function->setName(*symbol);
      }
}

llvm::Expected<Code> rondo::cpu::compile(ModuleOp module, const Machine &machine, StringRef suffix) {
  auto attribute = module->getAttrOfType<DictionaryAttr>(kProgramAttr);
  std::optional<Program> program = attribute ? programFromAttr(attribute) : std::nullopt;
  if (!program)
    return llvm::createStringError("the module describes no program");
  auto target = makeMachine(machine);
  if (!target)
    return target.takeError();
  auto split = std::make_shared<Waiting>();
  split->target = std::move(*target);
  auto code = translate(module, *split->context, *split->target, machine);
  if (!code)
    return code.takeError();
  appendToNames(*program, **code, suffix);
  split->code = takeSplit(**code, *program);
  auto object = makeObject(**code, *split->target);
  if (!object)
    return object.takeError();
  code->reset(); // before the context
  Code made{std::move(*program), std::move(*object), nullptr};
  if (split->code)
    made.split = [split]() -> Result<std::string> {
      auto object = makeObject(*split->code, *split->target);
      return object ? Result<std::string>(std::move(*object)) : Error(llvm::toString(object.takeError()));
    };
  return made;
}
