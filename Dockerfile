# The server for programs, without TensorFlow, about 420 MB:
#   docker build -t clipline .
#   docker run -p 8000:8000 -e CLIPLINE_TOKEN -v "$PWD/runs/NAME:/runs/NAME:ro" clipline /runs/NAME
FROM python:3.11-slim

# What classifying takes, and a server: the rest of pyproject.toml is for training.
RUN pip install --no-cache-dir \
    "numpy>=2.2" \
    "opencv-python-headless>=5.0" \
    "ai-edge-litert>=2.1" \
    "starlette>=1.0" \
    "uvicorn>=0.40" \
    "python-multipart>=0.0.27" \
    "prometheus-client>=0.22"

COPY pyproject.toml README.md LICENSE /clipline/
COPY pipeline /clipline/pipeline
RUN pip install --no-cache-dir --no-deps /clipline && rm -r /clipline

# Videos that others send are decoded here: not as root.
RUN useradd --create-home clipline
USER clipline
WORKDIR /home/clipline

EXPOSE 8000
HEALTHCHECK --start-period=10s CMD \
    ["python", "-c", "import urllib.request as web; web.urlopen('http://127.0.0.1:8000/v2/health/live', timeout=5)"]
ENTRYPOINT ["clipline", "serve", "--host", "0.0.0.0"]
