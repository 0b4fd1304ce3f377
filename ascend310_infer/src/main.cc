// erfnet_infer: segments pictures with ERFNet in MindSpore Lite.
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "arguments.h"
#include "captured_output.h"
#include "crash_guard.h"
#include "descriptor_stream.h"
#include "device_check.h"
#include "fault.h"
#include "files.h"
#include "interrupts.h"
#include "lite_model.h"
#include "metric.h"
#include "mindir_version.h"
#include "one_line.h"
#include "pictures.h"
#include "pipeline.h"
#include "reporter.h"
#include "tell.h"

namespace {

using erfnet::Arguments;
using erfnet::ExitCode;
using erfnet::Fault;
using erfnet::Picture;

// Each copy of the model needs some 300 MB at 512x1024, and each picture on its way 12 MB.
constexpr std::size_t kMost = 8;
// A core reads and prepares pictures, or writes label ids, about this many times as fast as it predicts; and so it
// writes what takes longer.
constexpr std::size_t kPredictorsForAReader = 6;
constexpr std::size_t kPredictorsForAWriter = 2;

struct Threads {
  std::size_t readers = 1;
  std::size_t predictors = 1;
  std::size_t writers = 1;
};

// An Ascend predicts by itself, and all threads serve it; on a CPU predicting takes most of the time.
Threads Shared(const Arguments& arguments, std::size_t threads) {
  const std::size_t most = std::min(threads, kMost);
  if (arguments.device.ascend) {
    return {most, 1, most};
  }
  const bool slow = arguments.saves.color || arguments.saves.overlay || arguments.saves.logits;
  return {1 + most / kPredictorsForAReader, most, 1 + most / (slow ? kPredictorsForAWriter : kPredictorsForAReader)};
}

std::size_t UsableCores() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  const int known = sched_getaffinity(0, sizeof cores, &cores);
  return known == 0 ? static_cast<std::size_t>(std::max(1, CPU_COUNT(&cores))) : 1;
}

std::vector<Picture> Pictures(const Arguments& arguments) {
  std::vector<Picture> pictures = erfnet::FindPictures(arguments.images, arguments.labels, arguments.split);
  if (arguments.limit && *arguments.limit < pictures.size()) {
    pictures.resize(*arguments.limit);
  }
  return pictures;
}

std::size_t Labelled(const std::vector<Picture>& pictures) {
  return static_cast<std::size_t>(std::count_if(pictures.begin(), pictures.end(),
                                                [](const Picture& picture) { return picture.label.has_value(); }));
}

void RefuseLogitsOfClasses(const Arguments& arguments, const erfnet::ModelForm& form) {
  if (arguments.saves.logits && form.argmax) {
    throw Fault(ExitCode::kUsage, "--save logits: " + arguments.model.string() +
                                      " gives classes only; export it with `--head logits`, or leave logits out");
  }
}

// For people, also beside JSON.
void Note(const std::string& text) { std::cerr << "erfnet_infer: " << text << '\n'; }

void NoteOthers(std::size_t count) {
  if (count > 0) {
    Note(std::to_string(count) + (count == 1 ? " other file" : " other files") +
         " among the images left alone: .png, .jpg and .jpeg are taken");
  }
}

std::unique_ptr<erfnet::Reporter> MakeReporter(const Arguments& arguments, std::ostream& out) {
  return arguments.json ? erfnet::JsonReporter(out) : erfnet::TextReporter(out, isatty(STDERR_FILENO) == 1);
}

// Loads the model, and tries it on a black picture: graphs that Lite cannot run may end the process.
erfnet::LoadedModel Load(const Arguments& arguments, std::size_t copies, int told) {
  std::ostringstream line;
  MakeReporter(arguments, line)
      ->Failed(ExitCode::kBadModel, "MindSpore Lite " + erfnet::LiteVersion() + " crashes when it runs " +
                                        arguments.model.string() +
                                        ": make it anew with `erfnet-jobs run export --format lite`");
  const erfnet::CrashGuard guard(told, ExitCode::kBadModel, line.str());
  erfnet::LoadedModel model = erfnet::LoadModel(arguments.model, arguments.device, arguments.precision, copies);
  const std::vector<std::byte> black(erfnet::BytesOf(model.form.input));
  model.copies.front()->Predict(black.data());
  return model;
}

ExitCode Infer(const Arguments& arguments, erfnet::Reporter& reporter, int told, erfnet::Interrupts& interrupts) {
  erfnet::CheckMindir(arguments.model, erfnet::LiteVersion());
  erfnet::CheckDevice(arguments.device);
  const std::vector<Picture> pictures = Pictures(arguments);
  erfnet::CheckApart(pictures, arguments.output);
  const std::size_t cores = arguments.threads > 0 ? static_cast<std::size_t>(arguments.threads) : UsableCores();
  const Threads threads = Shared(arguments, cores);
  const erfnet::LoadedModel model = Load(arguments, threads.predictors, told);
  RefuseLogitsOfClasses(arguments, model.form);
  erfnet::MakeFolder(arguments.output);
  NoteOthers(erfnet::CountOthers(arguments.images));
  if (erfnet::RemoveMetric(arguments.output)) {
    Note("removed metric.txt and metric.json of an earlier run from " + arguments.output.string());
  }
  reporter.Started({erfnet::LiteVersion(), arguments.device, static_cast<int>(cores), arguments.precision,
                    pictures.size(), Labelled(pictures), arguments.model, model.form});
  const erfnet::Work work{pictures,        arguments.labels.has_value(),
                          arguments.model, model.form,
                          arguments.saves, arguments.output,
                          threads.readers, threads.writers};
  const erfnet::End end = erfnet::RunPipeline(work, model.copies, reporter, interrupts);
  if (interrupts.Requested()) {
    throw Fault(ExitCode::kInterrupted, "interrupted after " + std::to_string(end.images) + " of " +
                                            std::to_string(pictures.size()) + " images");
  }
  if (end.metric) {
    erfnet::WriteMetric(arguments.output, *end.metric);
  }
  reporter.Ended(end);
  if (end.skipped > 0) {
    throw Fault(ExitCode::kBadData, std::to_string(end.skipped) + " of " + std::to_string(pictures.size()) +
                                        " images were skipped, which are named above: mend or remove them");
  }
  return ExitCode::kDone;
}

ExitCode Guarded(const Arguments& arguments, erfnet::Reporter& reporter, int told, erfnet::Interrupts& interrupts) {
  try {
    return Infer(arguments, reporter, told, interrupts);
  } catch (const Fault& fault) {
    reporter.Failed(fault.code(), fault.what());
    return fault.code();
  } catch (const std::bad_alloc&) {
    reporter.Failed(ExitCode::kUnexpected, "out of memory: give fewer --threads, or a smaller model");
  } catch (const std::exception& error) {
    reporter.Failed(ExitCode::kUnexpected, error.what());
  }
  return ExitCode::kUnexpected;
}

// Tells it by itself: the thread that was interrupted may be telling something.
void EndNow(const Arguments& arguments, int told) {
  std::ostringstream line;
  MakeReporter(arguments, line)->Failed(ExitCode::kInterrupted, "interrupted before the first image");
  const ssize_t written = write(told, line.str().data(), line.str().size());
  _exit(static_cast<int>(written < 0 ? ExitCode::kUnexpected : ExitCode::kInterrupted));
}

ExitCode Run(const Arguments& arguments) {
  // Whoever reads what is told may end: that is an error of writing, not the process's death.
  std::signal(SIGPIPE, SIG_IGN);
  erfnet::Interrupts interrupts;
  erfnet::DescriptorStream out(arguments.json ? STDOUT_FILENO : STDERR_FILENO);
  // What MindSpore Lite prints is no JSON.
  dup2(STDERR_FILENO, STDOUT_FILENO);
  const auto reporter = MakeReporter(arguments, out.Stream());
  // While the model loads there is nothing to be finished.
  interrupts.OnRequest([&arguments, &out] { EndNow(arguments, out.Descriptor()); });
  return Guarded(arguments, *reporter, out.Descriptor(), interrupts);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    erfnet::LetWarningsBeLogged(argv);
    const Arguments arguments = erfnet::ParseArguments(argc, argv);
    if (arguments.help || arguments.version) {
      erfnet::Tell(std::cout, arguments.help ? erfnet::Usage()
                                             : "erfnet_infer " ERFNET_INFER_VERSION " (MindSpore Lite " +
                                                   erfnet::LiteVersion() + ")\n");
      return 0;
    }
    return static_cast<int>(Run(arguments));
  } catch (const Fault& fault) {
    std::cerr << "erfnet_infer: " << erfnet::OneLine(fault.what()) << '\n';
    return static_cast<int>(fault.code());
  } catch (const std::exception& error) {
    std::cerr << "erfnet_infer: " << error.what() << '\n';
    return static_cast<int>(ExitCode::kUnexpected);
  }
}
