"""Why operators are not supported, as far as there is more to say than that nobody has needed them."""

from __future__ import annotations

from collections.abc import Iterator

_STRINGS = "looks into strings or makes some: castiron knows whole words only; cut the graph behind it (--input)"
_SETS = "gives sets or sequences as sparse tensors; cut the graph before it (--output)"
_RANDOM = "draws random numbers; export the model for inference, or build from its .keras file"
_FILES = "reads files or a data set; cut the graph behind it (--input)"
_IMAGES = "decodes files; cut the graph behind it (--input)"
_TRAINING = "belongs to training; export the model for inference"
_SPARSE = "works on sparse or ragged tensors; feed dense ones"
_LINEAR = "factorises or inverts matrices, which no inference needs so far"
_RARE = "is a special function without a kernel"
_CUDA = "exists on graphics processors only; export the model on a processor"
_INTEGERS = "computes with quantised integers; export the model with floats"
_PYTHON = "calls back into Python"
_LOOKUP = "works on tables that change or are filled from files"

#: Operators by reason. A name that ends in * stands for all that begin so.
_BY_REASON: dict[str, str] = {
    _SETS: "SetSize DenseToDenseSetOperation DenseToSparseSetOperation CTCGreedyDecoder CTCBeamSearchDecoder",
    _STRINGS: (
        "StringJoin StringSplit* StringLower StringUpper StringLength StringStrip StringFormat StringNGrams "
        "StringToNumber StringToHashBucket RegexReplace RegexFullMatch StaticRegexReplace StaticRegexFullMatch Substr "
        "ReduceJoin UnsortedSegmentJoin UnicodeDecode* UnicodeEncode UnicodeScript UnicodeTranscode EncodeBase64 "
        "DecodeBase64 DecodeCSV DecodeJSONExample ParseExample* ParseSingleExample ParseSequenceExample* "
        "ParseSingleSequenceExample ParseTensor SerializeTensor DecodeRaw DecodePaddedRaw DecodeCompressed BytesToStr "
        "Fingerprint SentencepieceOp SentencepieceTokenizeOp WordpieceTokenize*"),
    _RANDOM: (
        "RandomUniform RandomUniformInt RandomStandardNormal TruncatedNormal RandomGamma RandomPoisson* RandomShuffle "
        "Multinomial ParameterizedTruncatedNormal StatelessRandom* StatelessMultinomial StatelessTruncatedNormal* "
        "StatelessParameterizedTruncatedNormal StatefulUniform* StatefulStandardNormal* StatefulTruncatedNormal* "
        "StatefulRandomBinomial RandomCrop SampleDistortedBoundingBox* StatelessSampleDistortedBoundingBox "
        "RngReadAndSkip RngSkip AllCandidateSampler LogUniformCandidateSampler UniformCandidateSampler "
        "LearnedUnigramCandidateSampler"),
    _FILES: (
        "ReadFile WholeFileReader* TextLineReader* TFRecordReader* ReaderRead* FixedLengthRecordReader* MatchingFiles "
        "QueueDequeue* QueueEnqueue* FIFOQueue* RandomShuffleQueue* PaddingFIFOQueue* Iterator* OneShotIterator "
        "MakeIterator TensorDataset TensorSliceDataset MapDataset* BatchDataset* OptionalGetValue Stage Unstage"),
    _IMAGES: (
        "DecodeJpeg DecodePng DecodeGif DecodeBmp DecodeImage DecodeWebP DecodeWav DecodeAndCropJpeg EncodeJpeg "
        "EncodePng EncodeWav"),
    _TRAINING: (
        "ResourceApply* Apply* SparseApply* ResourceSparseApply* Conv2DBackpropFilter Conv3DBackpropFilter* "
        "DepthwiseConv2dNativeBackprop* MaxPoolGrad* AvgPoolGrad AvgPool3DGrad FusedBatchNormGrad* BiasAddGrad "
        "ReluGrad Relu6Grad EluGrad SeluGrad TanhGrad SigmoidGrad SoftplusGrad SoftsignGrad SqrtGrad RsqrtGrad "
        "LRNGrad BroadcastGradientArgs SymbolicGradient CTCLoss CTCLossV2 MirrorPadGrad ResizeBilinearGrad "
        "ResizeNearestNeighborGrad ResizeBicubicGrad StridedSliceGrad LSTMBlockCellGrad BlockLSTMGrad* "
        "GRUBlockCellGrad FakeQuantWithMinMaxArgsGradient FakeQuantWithMinMaxVarsGradient "
        "FakeQuantWithMinMaxVarsPerChannelGradient NegTrain Skipgram"),
    _SPARSE: (
        "Sparse* Ragged* AddSparseToTensorsMap AddManySparseToTensorsMap TakeManySparseFromTensorsMap "
        "DeserializeSparse DeserializeManySparse SerializeSparse SerializeManySparse"),
    _LINEAR: (
        "Cholesky MatrixInverse MatrixDeterminant LogMatrixDeterminant MatrixSolve MatrixSolveLs "
        "MatrixTriangularSolve BatchMatrixTriangularSolve TridiagonalSolve TridiagonalMatMul Qr Svd Lu Eig "
        "SelfAdjointEig SelfAdjointEigV2 MatrixExponential MatrixLogarithm MatrixSquareRoot BandedTriangularSolve "
        "BatchCholesky BatchMatrixInverse"),
    _RARE: (
        "Igamma Igammac IgammaGradA RandomGammaGrad Betainc Zeta Polygamma Dawsn Expint FresnelCos FresnelSin Spence "
        "BesselJ0 BesselJ1 BesselY0 BesselY1 BesselK0 BesselK0e BesselK1 BesselK1e NextAfter"),
    _CUDA: (
        "CudnnRNN* NcclAllReduce NcclReduce NcclBroadcast CollectiveReduce* CollectiveGather* CollectiveBcast* TPU* "
        "XlaLaunch XlaCallModule GenerateBoundingBoxProposals"),
    _INTEGERS: (
        "Quantized* Quantize QuantizeV2 Dequantize Requantize* RequantizationRange* QuantizeDownAndShrinkRange "
        "UniformQuantize* UniformDequantize UniformRequantize"),
    _PYTHON: (
        "PyFunc PyFuncStateless EagerPyFunc"),
    _LOOKUP: (
        "LookupTableExport* LookupTableInsert* LookupTableRemove* MutableDenseHashTable* InitializeTableFromTextFile* "
        "AnonymousHashTable AnonymousMutableHashTable*"),
    "samples images at computed places; leave augmentation out of the export": "ImageProjectiveTransformV*",
    "reinterprets bits, of which 16-bit floats have others inside": "Bitcast",
}


def _names() -> Iterator[tuple[str, str]]:
    for why, names in _BY_REASON.items():
        for name in names.split():
            yield name, why


#: By TensorFlow's name of an operator: why it is not supported. A name that ends in * stands for all that begin so.
REASONS: dict[str, str] = dict(_names())


def why_not(op: str) -> str:
    """Why an operator is not supported."""
    if op in REASONS:
        return f"{op} is not supported: it {REASONS[op]}"
    prefixes = [name for name in REASONS if name.endswith("*") and op.startswith(name[:-1])]
    if prefixes:
        return f"{op} is not supported: it {REASONS[max(prefixes, key=len)]}"
    return f"{op} is not supported"
