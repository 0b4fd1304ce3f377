// The public class of MindSpore Lite 2.0.0's converter, as its library exports it; the wheel has no header of it.
#ifndef ASCEND310_INFER_LITE_CONVERTER_H_
#define ASCEND310_INFER_LITE_CONVERTER_H_

#include <include/api/status.h>
#include <include/api/types.h>
#include <include/registry/converter_context.h>

#include <memory>
#include <vector>

namespace mindspore {

class MS_API Converter {
 public:
  Converter(converter::FmkType kind, const std::vector<char>& model, const std::vector<char>& output,
            const std::vector<char>& weights);
  void SetSaveType(ModelType type);
  Status Convert();

 private:
  struct Data;
  std::shared_ptr<Data> data_;
};

}  // namespace mindspore

#endif  // ASCEND310_INFER_LITE_CONVERTER_H_
