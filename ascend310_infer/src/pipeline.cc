#include "pipeline.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "bounded_queue.h"
#include "classes.h"
#include "image_reader.h"
#include "postprocess.h"
#include "results.h"
#include "writing.h"

namespace erfnet {
namespace {

// A picture on its way, with all that it needs: made once, and used for one picture after another.
struct Frame {
  std::size_t index = 0;
  Size image_size;
  Image image;
  std::optional<Image> truth;
  std::vector<std::byte> input;
  Image classes;
  std::vector<float> logits;
  Times times{};
};

// As training and evaluation do: of another size, it is likely another picture's.
void CheckSameSize(const Picture& picture, const Frame& frame) {
  const Size image = frame.image.size;
  const Size label = frame.truth->size;
  if (image != label) {
    throw Fault(ExitCode::kBadData, picture.label->string() + " is " + TextOf(label) + " and its image " +
                                        TextOf(image) + " (height x width): they must be of one size; make it again");
  }
}

using FramePointer = std::unique_ptr<Frame>;
using Frames = BoundedQueue<FramePointer>;

// Runs a part of the work; gives what it returns, and adds the time to a step's.
template <typename Part>
auto Timed(Times& times, Step step, Part part) {
  struct Watch {
    double& milliseconds;
    std::chrono::steady_clock::time_point began = std::chrono::steady_clock::now();
    ~Watch() {
      milliseconds += std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
    }
  };
  const Watch watch{times[step]};
  return part();
}

class Pipeline {
 public:
  Pipeline(const Work& work, const std::vector<std::unique_ptr<Predictor>>& predictors, Reporter& reporter)
      : work_(work),
        predictors_(predictors),
        results_(work.pictures, work.measure ? std::optional(work.form.output) : std::nullopt, reporter),
        frames_(work.readers + 2 * predictors.size() + work.writers + 1),
        free_(frames_),
        ready_(frames_),
        predicted_(frames_),
        readers_left_(work.readers),
        predictors_left_(predictors.size()) {
    for (std::size_t i = 0; i < frames_; ++i) {
      free_.Push(NewFrame());
    }
  }

  // All threads have ended when it returns or throws.
  End Run() {
    std::vector<std::thread> threads;
    // The system may refuse a thread: those that run already have to end then.
    Guarded([this, &threads] { StartAll(threads); });
    for (std::thread& thread : threads) {
      thread.join();
    }
    const End end = results_.Finish({work_.readers, work_.readers, predictors_.size(), work_.writers});
    if (fault_) {
      std::rethrow_exception(fault_);
    }
    return end;
  }

  // All threads end as soon as they have done what they are at.
  void Abandon() {
    free_.Abandon();
    ready_.Abandon();
    predicted_.Abandon();
  }

 private:
  void StartAll(std::vector<std::thread>& threads) {
    threads.reserve(work_.readers + predictors_.size() + work_.writers);
    for (std::size_t i = 0; i < work_.readers; ++i) {
      threads.emplace_back([this] { Guarded([this] { ReadAll(); }); });
    }
    for (const auto& predictor : predictors_) {
      threads.emplace_back([this, &predictor] { Guarded([&] { PredictAll(*predictor); }); });
    }
    for (std::size_t i = 0; i < work_.writers; ++i) {
      threads.emplace_back([this] { Guarded([this] { WriteAll(); }); });
    }
  }

  template <typename Part>
  void Guarded(Part part) {
    try {
      part();
    } catch (...) {
      {
        const std::lock_guard lock(fault_mutex_);
        fault_ = fault_ ? fault_ : std::current_exception();
      }
      Abandon();
    }
  }

  [[nodiscard]] FramePointer NewFrame() const {
    auto frame = std::make_unique<Frame>();
    frame->input.resize(BytesOf(work_.form.input));
    const Size size = work_.form.output;
    frame->classes = {size, 1, std::vector<std::uint8_t>(size.height * size.width)};
    return frame;
  }

  void ReadAll() {
    while (auto frame = free_.Pop()) {
      const std::size_t index = next_picture_.fetch_add(1);
      if (index >= work_.pictures.size()) {
        break;
      }
      (*frame)->index = index;
      (*frame)->times = {};
      const auto reason = Read(**frame);
      if (reason) {
        results_.Skipped(index, *reason);
      }
      (reason ? free_ : ready_).Push(std::move(*frame));
    }
    if (readers_left_.fetch_sub(1) == 1) {
      ready_.Close();
      // Readers that still wait for a frame find no picture either.
      free_.Close();
    }
  }

  // Gives the reason where the picture has to be skipped.
  std::optional<std::string> Read(Frame& frame) const {
    const Picture& picture = work_.pictures[frame.index];
    try {
      frame.image = Timed(frame.times, kRead, [&] { return ReadImage(picture.image); });
      frame.truth.reset();
      if (work_.measure && picture.label) {
        frame.truth = Timed(frame.times, kRead, [&] { return ReadLabel(*picture.label); });
        CheckSameSize(picture, frame);
      }
    } catch (const Fault& fault) {
      if (fault.code() != ExitCode::kBadData) {
        throw;
      }
      return fault.what();
    }
    Timed(frame.times, kPrepare, [&] { Prepared(frame); });
    return std::nullopt;
  }

  void Prepared(Frame& frame) const {
    const TensorForm& form = work_.form.input;
    Prepare(frame.image, form, frame.input.data());
    if (frame.truth) {
      frame.truth = LabelAt(*frame.truth, form.size, work_.form.output);
    }
    frame.image_size = frame.image.size;
    if (!work_.saves.overlay) {
      frame.image = {};
    }
  }

  void PredictAll(Predictor& predictor) {
    while (auto frame = ready_.Pop()) {
      Timed((*frame)->times, kPredict, [&] { Predict(predictor, **frame); });
      predicted_.Push(std::move(*frame));
    }
    if (predictors_left_.fetch_sub(1) == 1) {
      predicted_.Close();
    }
  }

  void Predict(Predictor& predictor, Frame& frame) const {
    const void* output = predictor.Predict(frame.input.data());
    if (!Classify(output, frame)) {
      throw Fault(ExitCode::kBadModel, work_.model.string() + " segments nothing: what it says of " +
                                           work_.pictures[frame.index].image.string() +
                                           (work_.form.argmax ? " is no class" : " is not finite") +
                                           "; export another checkpoint, or with --precision fp16 try fp32");
    }
  }

  bool Classify(const void* output, Frame& frame) const {
    const std::size_t pixels = frame.classes.pixels.size();
    std::uint8_t* classes = frame.classes.pixels.data();
    if (work_.form.argmax) {
      return FromIds(static_cast<const std::int32_t*>(output), pixels, classes);
    }
    const std::size_t values = pixels * kOutputs;
    if (work_.form.output_type == ElementType::kFloat16) {
      FromHalves(static_cast<const std::uint16_t*>(output), values, frame.logits);
      return Argmax(frame.logits.data(), pixels, classes);
    }
    const auto* logits = static_cast<const float*>(output);
    if (work_.saves.logits) {
      frame.logits.assign(logits, logits + values);
    }
    return Argmax(logits, pixels, classes);
  }

  void WriteAll() {
    while (auto frame = predicted_.Pop()) {
      const std::size_t index = (*frame)->index;
      Files files = Timed((*frame)->times, kWrite, [&] { return WriteOne(**frame); });
      results_.Done(index, std::move(files), (*frame)->times);
      free_.Push(std::move(*frame));
    }
  }

  Files WriteOne(const Frame& frame) {
    if (frame.truth) {
      results_.Compared(*frame.truth, frame.classes);
    }
    const Segmented segmented{work_.pictures[frame.index].name, frame.image_size, frame.classes, frame.image,
                              frame.logits};
    return Write(segmented, work_.saves, work_.output);
  }

  const Work& work_;
  const std::vector<std::unique_ptr<Predictor>>& predictors_;
  Results results_;
  const std::size_t frames_;
  Frames free_;
  Frames ready_;
  Frames predicted_;
  std::atomic<std::size_t> next_picture_{0};
  std::atomic<std::size_t> readers_left_;
  std::atomic<std::size_t> predictors_left_;
  std::mutex fault_mutex_;
  std::exception_ptr fault_;
};

}  // namespace

End RunPipeline(const Work& work, const std::vector<std::unique_ptr<Predictor>>& predictors, Reporter& reporter,
                Interrupts& interrupts) {
  Pipeline pipeline(work, predictors, reporter);
  interrupts.OnRequest([&pipeline] { pipeline.Abandon(); });
  struct Forget {
    Interrupts& of;
    ~Forget() { of.OnRequest(nullptr); }
  };
  const Forget forget{interrupts};
  return pipeline.Run();
}

}  // namespace erfnet
