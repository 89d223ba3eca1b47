"""Functions of keras.ops that castiron doesn't compile, and why."""

_CODE = "it holds Python code, which castiron never runs"
_DECOMPOSITION = "castiron has no matrix decompositions"
_SAMPLING = "castiron doesn't sample images at computed places"

#: By class.
REFUSED: dict[str, str] = {
    "Bincount": "the shape of its result depends on the data",
    **dict.fromkeys(("Map", "Scan", "AssociativeScan", "Switch", "WhileLoop", "ForiLoop", "Cond", "VectorizedMap",
                     "JVP"), _CODE),
    **dict.fromkeys(("Cholesky", "CholeskyInverse", "Det", "Eig", "Eigh", "Inv", "LuFactor", "Qr", "Solve",
                     "SolveTriangular", "SVD", "Lstsq", "MatrixRank", "Pinv", "Logdet", "Slogdet"), _DECOMPOSITION),
    **dict.fromkeys(("AffineTransform", "PerspectiveTransform", "MapCoordinates", "ScaleAndTranslate"), _SAMPLING),
    "ElasticTransform": "it is random", "SSIM": "castiron doesn't have it", "Histogram": "castiron doesn't have it",
    "CTCLoss": "a loss of training", "CTCDecode": "castiron has no decoding of sequences",
    "Gcd": "castiron doesn't have it", "Lcm": "castiron doesn't have it", "Nextafter": "castiron doesn't have it",
    "View": "castiron doesn't reinterpret bits", "Argpartition": "castiron doesn't have it",
    "Polar": "castiron has no complex tensors", "ViewAsComplex": "castiron has no complex tensors",
    "ViewAsReal": "castiron has no complex tensors", "Fold": "castiron doesn't have it",
    "ISTFT": "castiron doesn't have it", "Geomspace": "castiron doesn't have it",
    "Logspace": "castiron doesn't have it", "Nanmedian": "castiron doesn't have it",
    "Nanpercentile": "castiron doesn't have it", "Nanquantile": "castiron doesn't have it",
}
