// What the pipeline asks of a model, whichever engine runs it.
#ifndef ASCEND310_INFER_PREDICTOR_H_
#define ASCEND310_INFER_PREDICTOR_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "image.h"
#include "prepare.h"

namespace erfnet {

// What goes into a model and comes out of it.
struct ModelForm {
  std::vector<std::int64_t> input_shape;
  TensorForm input;
  std::vector<std::int64_t> output_shape;
  ElementType output_type = ElementType::kFloat32;
  Size output;
  // Classes come out and not logits: the model was exported with `--head argmax`.
  bool argmax = false;
};

// float32, float16, uint8 or int32.
std::string NameOf(ElementType type);

// What the shapes and types mean. `name` is the model in the Fault (kBadModel) that says what does not fit ERFNet.
ModelForm UnderstandModel(const std::string& name, const std::vector<std::int64_t>& input_shape, ElementType input_type,
                          const std::vector<std::int64_t>& output_shape, ElementType output_type);

// One copy of a model, used by one thread at a time.
class Predictor {
 public:
  Predictor() = default;
  virtual ~Predictor() = default;
  Predictor(const Predictor&) = delete;
  Predictor& operator=(const Predictor&) = delete;

  // Runs one picture, BytesOf(form.input) bytes. What it gives is of the form's output, and valid until the next call.
  // Throws Fault.
  virtual const void* Predict(const void* input) = 0;
};

}  // namespace erfnet

#endif  // ASCEND310_INFER_PREDICTOR_H_
