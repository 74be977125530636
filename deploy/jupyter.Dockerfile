# JupyterLab with what notebooks/examples.ipynb needs.
ARG PYTHON_VERSION=3.11
FROM python:${PYTHON_VERSION}-slim-bookworm
RUN useradd --uid 10001 --user-group --create-home --shell /usr/sbin/nologin jupyter \
    && install -d -o jupyter -g jupyter /data /notebooks
COPY notebooks/requirements.txt /tmp/requirements.txt
RUN pip install --no-cache-dir -r /tmp/requirements.txt
USER 10001:10001
WORKDIR /notebooks
EXPOSE 8888
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8888/api')"]
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--port=8888", "--no-browser"]
