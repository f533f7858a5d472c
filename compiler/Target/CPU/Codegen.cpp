// LLVM's part: conversion, optimisation, machine code. See Codegen.h.
#include "compiler/Target/CPU/Codegen.h"
#include "compiler/Target/CPU/Machine.h"
#include "compiler/Target/CPU/Passes.h"
#include "compiler/Target/Signature.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
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

using namespace mlir;
using namespace rondo;
using namespace rondo::cpu;

void rondo::cpu::buildToLLVM(OpPassManager &passes) {
  passes.addPass(createSCFToControlFlowPass());
  passes.addPass(createLowerToLLVM());
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

/// The names of all functions of a launch; those that it does not have are empty.
static SmallVector<std::string *> functionsOf(Launch &launch) {
  return {&launch.symbol, &launch.splitSymbol, &launch.team.symbol, &launch.rowTeam.symbol, &launch.segments.symbol};
}

std::optional<Program> rondo::cpu::describe(ModuleOp module, StringRef suffix) {
  auto attribute = module->getAttrOfType<DictionaryAttr>(kProgramAttr);
  std::optional<Program> program = attribute ? programFromAttr(attribute) : std::nullopt;
  if (program)
    for (Launch &launch : program->launches)
      for (std::string *symbol : functionsOf(launch))
        if (!symbol->empty())
          *symbol += suffix;
  return program;
}

OwningOpRef<ModuleOp> rondo::cpu::takeSecond(ModuleOp module) {
  llvm::StringSet<> symbols;
  if (std::optional<Program> program = describe(module))
    for (Launch &launch : program->launches)
      for (const std::string *symbol : functionsOf(launch))
        if (symbol != &launch.symbol && !symbol->empty())
          symbols.insert(*symbol);
  if (symbols.empty())
    return nullptr;
  OwningOpRef<ModuleOp> second = ModuleOp::create(module.getLoc());
  (*second)->setAttrs(module->getAttrs());
  for (Operation &op : llvm::make_early_inc_range(*module.getBody())) {
    if (symbols.contains(SymbolTable::getSymbolName(&op)))
      op.moveBefore(second->getBody(), second->getBody()->end());
    else if (!isa<FunctionOpInterface>(op) || cast<FunctionOpInterface>(op).isExternal()) // tables, which both may read
      second->getBody()->push_back(op.clone());
  }
  return second;
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

llvm::Expected<std::string> rondo::cpu::compile(ModuleOp module, const Machine &machine, StringRef suffix) {
  std::optional<Program> program = describe(module);
  if (!program)
    return llvm::createStringError("the module describes no program");
  auto target = makeMachine(machine);
  if (!target)
    return target.takeError();
  llvm::LLVMContext context;
  auto code = translate(module, context, **target, machine);
  if (!code)
    return code.takeError();
  for (Launch &launch : program->launches)
    for (const std::string *symbol : functionsOf(launch))
      if (llvm::Function *function = symbol->empty() ? nullptr : (*code)->getFunction(*symbol))
        function->setName(*symbol + suffix);
  if (llvm::Error error = optimise(**code, **target))
    return std::move(error);
  return emit(**code, **target, llvm::CodeGenFileType::ObjectFile);
}
