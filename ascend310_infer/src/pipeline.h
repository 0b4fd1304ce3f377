// Reading and preparing, predicting, and writing of pictures, side by side.
#ifndef ASCEND310_INFER_PIPELINE_H_
#define ASCEND310_INFER_PIPELINE_H_

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "arguments.h"
#include "interrupts.h"
#include "pictures.h"
#include "predictor.h"
#include "reporter.h"

namespace erfnet {

struct Work {
  const std::vector<Picture>& pictures;
  // Whether predictions are compared with the pictures' labels.
  bool measure = false;
  std::filesystem::path model;
  ModelForm form;
  Saves saves;
  std::filesystem::path output;
  std::size_t readers = 1;
  std::size_t writers = 1;
};

// Every predictor has a thread. As many pictures are in memory as keep all threads busy, however many there are. A
// picture or label that cannot be read is told as skipped, and the others go on; any other Fault ends everything and is
// thrown when all threads have ended. What was saved or skipped is told in the order of the pictures.
// After an interrupt what is being written is finished, the rest dropped, and the End is of what was done.
End RunPipeline(const Work& work, const std::vector<std::unique_ptr<Predictor>>& predictors, Reporter& reporter,
                Interrupts& interrupts);

}  // namespace erfnet

#endif  // ASCEND310_INFER_PIPELINE_H_
